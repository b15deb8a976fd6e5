"""Where each number of a `Report` stands that had a name of its own before there were sections."""

from __future__ import annotations

# "old=new" where the name has changed too.
_BY_SECTION = {
    "events": "now=last_at events_n=observed_n ahead_n behind_n rejected_n predicted_n "
    "unpredicted_n failed_predictions_n confidence_counts confidence_sum window_n reservoir_n",
    "schema": "features_n unknown_features_n=unknown_n mistyped_n not_finite_n "
    "vanished_features=vanished classes",
    "asking": "strategy is_cold asked_n=requests_n asked_by_reason=by_reason asked_by=by_strategy "
    "asked_by_class=by_class quota_missing_n duplicates_n rescored_n propensity_min "
    "rounds_n rounds_by_reason last_round_at threshold redundancy",
    "budget": "refunded_n budget_available_n=available_n budget_held_n=held_n budget_cap_n=cap_n "
    "labels_per_event is_exhausted",
    "labels": "open_n stale_n oldest_open_at settled_n disputed_n expired_n withdrawn_n "
    "labels_by_class=by_class",
    "answers": "accepted_n late_n duplicate_n corrected_n refused_n answers_rejected_n=rejected_n "
    "cost_per_answer turnaround_counts turnaround_sum_s gold_asked_n=gold_questions_n "
    "gold_answers_n",
    "annotators": "annotators_n=known_n agreement annotators_by_number=by_number",
    "noise": "label_noise=label_shares answer_error=answer_share suspicious_n suspicious "
    "confirmed_n overruled_n undecided_n",
    "model": "model_version=version learned_n learned_at unlearnable_n failures failing "
    "model_fault=fault memory_n parked_n temperature evidence_n evidence_age_s "
    "evidence_memory_s",
    "retraining": "retrained_n=ordered_n retrained_at=ordered_at adopted_n adopted_at kept_n "
    "rolled_back_n is_retraining=is_open",
    "drift": "drift_level=level drift_changes_n=changes_n drift_changed_at=changed_at "
    "drift_since=began_at drift_features=features drift_classes=classes "
    "drift_statistics=statistics drift_alarms_n=alarms_n drift_alarmed_at=alarmed_at "
    "feature_psi feature_ratios feature_shares class_shares",
    "estimates": "judged accuracy accuracy_all quality choosing",
}

OLD_NAMES = {
    old: f"{section}.{new or old}"
    for section, names in _BY_SECTION.items()
    for old, _, new in (name.partition("=") for name in names.split())
}
"""The path of each, such as "asking.requests_n" of "asked_n"."""
