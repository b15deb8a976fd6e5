"""What a state may hold: the exact list of names that the reader in `frozen` admits.

Names only, each `module:qualname`; nothing is imported here and nothing is decided. The lists are
compared whole, never by a prefix. `tests/test_frozen.py` says which names are missing.
"""

# What may be called while reading, and with how many arguments at most.
CALLED = {
    "builtins:getattr": 2,
    "builtins:iter": 1,
    "builtins:range": 3,
    "collections:Counter": 1,
    "collections:OrderedDict": 0,
    "collections:defaultdict": 1,
    "collections:deque": 2,
    "functools:partial": 1,
    "msgspec._utils:rebuild": 2,
    "numpy._core.multiarray:_reconstruct": 3,
    "numpy._core.multiarray:scalar": 2,
    "numpy._core.numeric:_frombuffer": 4,
    "numpy.random._pickle:__bit_generator_ctor": 1,
    "numpy.random._pickle:__randomstate_ctor": 1,
    "numpy.random.bit_generator:__pyx_unpickle_SeedSequence": 3,
    "numpy:dtype": 3,
    "operator:itemgetter": 1,
    "random:Random": 0,
    "river._river_rust.vectordict:VectorDict": 4,
}

# What a state may mention, as the factory of a `defaultdict` or the function in a partial.
NAMED = frozenset(
    {
        "builtins:bool",
        "builtins:dict",
        "builtins:float",
        "builtins:int",
        "builtins:list",
        "builtins:set",
        "builtins:str",
        "builtins:tuple",
        "copy:deepcopy",
        "headrace.learn.mixed:MixedNB._make_gaussian",
        # Abstract classes, by which `compose.SelectType` tells numbers from texts.
        "numbers:Complex",
        "numbers:Integral",
        "numbers:Number",
        "numbers:Rational",
        "numbers:Real",
        "numpy:array",
        "numpy:ndarray",
        "numpy:ones",
        "numpy.random._mt19937:MT19937",
        "numpy.random.bit_generator:SeedSequence",
        "river._river_rust.vectordict:euclidean_distance_dict",
        "river._river_rust.vectordict:euclidean_distance_tuple",
        "river.feature_extraction.vectorize:find_all_ngrams",
        "river.feature_extraction.vectorize:remove_stop_words",
        "river.feature_extraction.vectorize:strip_accents_unicode",
        "river.feature_extraction.vectorize:tokenize_using_regex_pattern",
        "river.naive_bayes.gaussian:GaussianNB._make_gaussian",
        "river.tree.splitter.nominal_splitter_reg:NominalSplitterReg._update_estimator_univariate",
        "river.utils.math:minkowski_distance",
    }
)

# Methods that river keeps bound in its objects.
METHODS = {
    "builtins:str": ("lower",),
    "random:Random": ("gauss",),
    "river.drift.dummy:DummyDriftDetector": ("_fixed_trigger", "_random_trigger"),
    "river.drift.page_hinkley:PageHinkley": ("_test_both", "_test_decrease", "_test_increase"),
    "river.ensemble.bagging:LeveragingBaggingClassifier": (
        "_leveraging_bag",
        "_leveraging_bag_half",
        "_leveraging_bag_me",
        "_leveraging_bag_wt",
        "_leveraging_subag",
    ),
    "river.feature_extraction.kernel_approx:RBFSampler": ("_random_weights",),
    "river.linear_model.pa:PAClassifier": ("_calc_tau_0", "_calc_tau_1", "_calc_tau_2"),
    "river.metrics.accuracy:Accuracy": ("clone",),
    "river.multiclass.occ:OutputCodeClassifier": ("_next_code",),
    "river.preprocessing.random_projection:GaussianRandomProjector": ("_rand_gauss",),
    "river.preprocessing.random_projection:SparseRandomProjector": ("_rand_weights_for_feature",),
}

# Our own classes that a state may hold. Add a class here when it becomes part of one;
# tests/test_frozen.py names those that are missing.
OWN = (
    "headrace.chance:Chance",
    "headrace.engine:Engine",
    "headrace.frozen_compare:Difference",
    "headrace.label.annotators:Alpha",
    "headrace.label.annotators:Annotator",
    "headrace.label.annotators:Annotators",
    "headrace.label.annotators:Turnaround",
    "headrace.label.consensus:Majority",
    "headrace.label.consensus:Outcome",
    "headrace.label.desk:Counts",
    "headrace.label.desk:Desk",
    "headrace.label.ledger:Entry",
    "headrace.label.ledger:Ledger",
    "headrace.learn.anytime:Bets",
    "headrace.learn.calibration:Calibration",
    "headrace.learn.committee.committee:Committee",
    "headrace.learn.committee.committee:_Example",
    "headrace.learn.committee.discriminant:Discriminant",
    "headrace.learn.committee.encoding:Encoder",
    "headrace.learn.committee.evidence:Evidence",
    "headrace.learn.committee.evidence:Rows",
    "headrace.learn.committee.gaussian_process:GaussianProcess",
    "headrace.learn.committee.gaussian_process:_Kernel",
    "headrace.learn.committee.members:RiverMember",
    "headrace.learn.committee.stacker:Stacker",
    "headrace.learn.committee.table:CommitteeTable",
    "headrace.learn.estimate:Estimate",
    "headrace.learn.estimate:Sums",
    "headrace.learn.evaluation:Evaluation",
    "headrace.learn.evaluation:_Bins",
    "headrace.learn.evaluation:_Block",
    "headrace.learn.evaluation:_Request",
    "headrace.learn.learner:Learner",
    "headrace.learn.memory:Example",
    "headrace.learn.memory:Memory",
    "headrace.learn.mixed:MixedNB",
    "headrace.learn.noise:LabelNoise",
    "headrace.learn.noise:Suspicion",
    "headrace.learn.quality:Cells",
    "headrace.learn.quality:Quality",
    "headrace.learn.quality:Rate",
    "headrace.learn.quality:_Matrix",
    "headrace.learn.quality:_Share",
    "headrace.learn.presets:Intercept",
    "headrace.learn.parked:Parked",
    "headrace.learn.parked:Trial",
    "headrace.learn.retrain:Challenger",
    "headrace.learn.retrain:RetrainJob",
    "headrace.learn.retrain:_Replay",
    "headrace.learn.retrain:_Trained",
    "headrace.learn.river_part:RiverPart",
    "headrace.learn.scoring:BayesScorer",
    "headrace.learn.scoring:LogisticScorer",
    "headrace.learn.scoring:Scorer",
    "headrace.learn.scoring:SoftmaxScorer",
    "headrace.learn.scoring:_LinearScorer",
    "headrace.learn.scoring_inputs:Inputs",
    "headrace.learn.trainer:OpenJob",
    "headrace.learn.training_log:Origin",
    "headrace.learn.training_log:TrainingLog",
    "headrace.learn.trainer:Trainer",
    "headrace.learn.twins:Choosing",
    "headrace.learn.twins:Twins",
    "headrace.learn.view:View",
    "headrace.learn.view:_Joined",
    "headrace.messages:Answer",
    "headrace.messages:Context",
    "headrace.messages:DriftChanged",
    "headrace.messages:Event",
    "headrace.messages:EventBatch",
    "headrace.messages:InputRejected",
    "headrace.messages:LabelDisputed",
    "headrace.messages:LabelRequested",
    "headrace.messages:LabelSettled",
    "headrace.messages:Message",
    "headrace.messages:ModelAdopted",
    "headrace.messages:ModelKept",
    "headrace.messages:ModelRolledBack",
    "headrace.messages:Moments",
    "headrace.messages:Reason",
    "headrace.messages:RequestExpired",
    "headrace.messages:RequestWithdrawn",
    "headrace.messages:RetrainFinished",
    "headrace.messages:RetrainRequested",
    "headrace.messages:RoundClosed",
    "headrace.messages:RoundOpened",
    "headrace.messages:RoundOrdered",
    "headrace.messages:Tick",
    "headrace.messages:Withdrawal",
    "headrace.observe.admission:Admission",
    "headrace.observe.admission:Run",
    "headrace.observe.answers:AnswersDecoder",
    "headrace.observe.decode:Decoded",
    "headrace.observe.decode:Decoder",
    "headrace.observe.drift.detectors:DriftLevel",
    "headrace.observe.drift.detectors:FHDDM",
    "headrace.observe.drift.detectors:Feed",
    "headrace.observe.drift.detectors:PageHinkley",
    "headrace.observe.declared:Declared",
    "headrace.observe.drift.comparisons:Told",
    "headrace.observe.drift.glr:Glr",
    "headrace.observe.drift.lines:Lines",
    "headrace.observe.drift.monitor:DriftMonitor",
    "headrace.observe.drift.watches:Watch",
    "headrace.observe.drift.windows:Windows",
    "headrace.observe.payloads:Fields",
    "headrace.observe.payloads:Layout",
    "headrace.observe.given:Refused",
    "headrace.observe.hook:Hook",
    "headrace.observe.joining:Half",
    "headrace.observe.joining:Halves",
    "headrace.observe.joining:Join",
    "headrace.observe.plain:PlainLines",
    "headrace.observe.moments:RunningMoments",
    "headrace.observe.reservoir:Reservoir",
    "headrace.observe.schema:Schema",
    "headrace.observe.seen:Seen",
    "headrace.observe.shares:FeatureShares",
    "headrace.observe.signals:Confidences",
    "headrace.observe.window:Columns",
    "headrace.observe.window:Store",
    "headrace.observe.window:Window",
    "headrace.query.arrivals:Arrivals",
    "headrace.query.arrivals:Drawn",
    "headrace.query.arrivals:Look",
    "headrace.query.asking:Asking",
    "headrace.query.asking:FirstChance",
    "headrace.query.opinions:Opinions",
    "headrace.query.budgets:Budget",
    "headrace.query.budgets:Cap",
    "headrace.query.budgets:PerHour",
    "headrace.query.budgets:Share",
    "headrace.query.online:Lean",
    "headrace.query.online:Place",
    "headrace.query.online:RankChances",
    "headrace.query.pool:Pool",
    "headrace.query.requests:Candidate",
    "headrace.query.requests:Why",
    "headrace.query.rounds:Decision",
    "headrace.report:AnnotatorReport",
    "headrace.report:PartitionReport",
    "headrace.report:Report",
    "headrace.report:WorkerReport",
    "headrace.settings:EvaluationSettings",
    "headrace.settings:InputSettings",
    "headrace.settings:LabelSettings",
    "headrace.settings:LearnSettings",
    "headrace.settings:ModelSettings",
    "headrace.settings:ObserveSettings",
    "headrace.settings:RunSettings",
    "headrace.settings:SchemaSettings",
    "headrace.settings:Settings",
    "headrace.settings_answers:AnswersSettings",
    "headrace.settings_columns:ColumnsSettings",
    "headrace.settings_drift:DriftSettings",
    "headrace.settings_drift:WatchSettings",
    "headrace.settings_fields:Section",
    "headrace.settings_join:JoinSettings",
    "headrace.settings_http:HttpSettings",
    "headrace.settings_kafka:KafkaSettings",
    "headrace.settings_kafka:WorkerSettings",
    "headrace.settings_query:BudgetSettings",
    "headrace.settings_query:ColdStartSettings",
    "headrace.settings_query:QuerySettings",
    "headrace.settings_query:RoundSettings",
    "headrace.shard:Shard",
)

# River's: everything a classifier, transformer or drift detector may consist of, without the
# package's name. tests/test_frozen.py pickles them all and names those that are missing.
_RIVER = """
_river_rust.drift:AdaptiveWindowing
_river_rust.stats:RsEWMean,RsEWVar,RsIQR,RsKurtosis,RsPeakToPeak,RsQuantile,RsSkew,RsRollingIQR,RsRollingQuantile
active.entropy:EntropySampler anomaly.filter:QuantileFilter,ThresholdFilter
anomaly.gaussian:GaussianScorer anomaly.hst:HalfSpaceTrees anomaly.loda:LODA
anomaly.lof:LocalOutlierFactor anomaly.pad:PredictiveAnomalyDetection
anomaly.sad:StandardAbsoluteDeviation anomaly.svm:OneClassSVM bandit.bayes_ucb:BayesUCB
bandit.epsilon_greedy:EpsilonGreedy bandit.exp3:Exp3 bandit.random:RandomPolicy
bandit.thompson:ThompsonSampling bandit.ucb:UCB cluster.clustream:CluStream,CluStreamMicroCluster
cluster.dbstream:DBSTREAM,DBSTREAMMicroCluster cluster.denstream:DenStream,DenStream.BufferItem
cluster.k_means:KMeans cluster.odac:ODAC,ODACChildren,ODACCluster cluster.streamkmeans:STREAMKMeans
cluster.textclust:TextClust,TextClust.Distances,TextClust.MicroCluster compose.func:FuncTransformer
compose.grouper:Grouper compose.pipeline:Pipeline compose.product:TransformerProduct
compose.renamer:Prefixer,Renamer,Suffixer compose.select:Discard,Select,SelectType
compose.union:TransformerUnion covariance.emp:EmpiricalCovariance drift.adwin:ADWIN
drift.binary.ddm:DDM drift.binary.eddm:EDDM drift.binary.fhddm:FHDDM drift.binary.hddm_a:HDDMA
drift.binary.hddm_w:HDDMW,SampleInfo drift.dummy:DummyDriftDetector drift.kswin:KSWIN
drift.no_drift:NoDrift drift.page_hinkley:PageHinkley drift.retrain:DriftRetrainingClassifier
dummy:NoChangeClassifier,PriorClassifier
ensemble.bagging:ADWINBaggingClassifier,BaggingClassifier,LeveragingBaggingClassifier
ensemble.boosting:ADWINBoostingClassifier,AdaBoostClassifier,BOLEClassifier
ensemble.stacking:StackingClassifier
ensemble.streaming_random_patches:BaseSRPClassifier,SRPClassifier ensemble.voting:VotingClassifier
facto.ffm:FFMClassifier facto.fm:FMClassifier facto.fwfm:FwFMClassifier facto.hofm:HOFMClassifier
feature_extraction.agg:Agg,TargetAgg
feature_extraction.kernel_approx:RBFSampler,RandomTreesEmbedding
feature_extraction.poly:PolynomialExtender feature_extraction.vectorize:BagOfWords,TFIDF
feature_selection.k_best:SelectKBest feature_selection.random:PoissonInclusion
feature_selection.variance:VarianceThreshold
forest.adaptive_random_forest:ARFClassifier,BaseTreeClassifier
forest.aggregated_mondrian_forest:AMFClassifier
imblearn.hard_sampling:HardSamplingClassifier,Triplet
imblearn.random:RandomOverSampler,RandomSampler,RandomUnderSampler
linear_model.ad_predictor:AdPredictor linear_model.alma:ALMAClassifier
linear_model.lin_reg:LinearRegression linear_model.log_reg:LogisticRegression
linear_model.pa:PAClassifier linear_model.perceptron:Perceptron
linear_model.softmax:SoftmaxRegression metrics.accuracy:Accuracy
metrics.balanced_accuracy:BalancedAccuracy metrics.confusion:ConfusionMatrix
metrics.fbeta:F1,MacroF1,MicroF1,WeightedF1 metrics.geometric_mean:GeometricMean
metrics.kappa:CohenKappa metrics.log_loss:LogLoss metrics.mcc:MCC
metrics.precision:MacroPrecision,MicroPrecision,Precision,WeightedPrecision
metrics.recall:MacroRecall,MicroRecall,Recall,WeightedRecall model_selection.bandit:BanditClassifier
model_selection.sh:SuccessiveHalvingClassifier multiclass.occ:OutputCodeClassifier
multiclass.ovo:OneVsOneClassifier multiclass.ovr:OneVsRestClassifier
naive_bayes.bernoulli:BernoulliNB naive_bayes.complement:ComplementNB
naive_bayes.gaussian:GaussianNB naive_bayes.multinomial:MultinomialNB neighbors.ann.nn_vertex:Vertex
neighbors.ann.swinn:SWINN neighbors.base:FunctionWrapper neighbors.knn_classifier:KNNClassifier
neighbors.lazy:LazySearch optim.ada_bound:AdaBound optim.ada_delta:AdaDelta optim.ada_grad:AdaGrad
optim.ada_max:AdaMax optim.adam:Adam optim.ams_grad:AMSGrad optim.average:Averager
optim.ftrl:FTRLProximal optim.initializers:Constant,Normal,Zeros
optim.losses:Absolute,BinaryFocalLoss,Cauchy,CrossEntropy,EpsilonInsensitiveHinge,Hinge
optim.losses:Huber,Log,Poisson,Quantile,Squared optim.momentum:Momentum optim.nadam:Nadam
optim.nesterov:NesterovMomentum optim.newton:Newton optim.rms_prop:RMSProp
optim.schedulers:Constant,InverseScaling,Optimal optim.sgd:SGD
preprocessing.feature_hasher:FeatureHasher preprocessing.gap_encoder:GapEncoder
preprocessing.impute:Constant,PreviousImputer,StatImputer preprocessing.lda:LDA
preprocessing.one_hot:OneHotEncoder preprocessing.ordinal:OrdinalEncoder
preprocessing.random_projection:GaussianRandomProjector,SparseRandomProjector
preprocessing.scale:AdaptiveStandardScaler,Binarizer,MaxAbsScaler,MinMaxScaler
preprocessing.scale:Normalizer,RobustScaler,StandardScaler proba.beta:Beta
proba.gaussian:Gaussian,MultivariateGaussian proba.multinomial:Multinomial sketch.counter:Counter
sketch.heavy_hitters:HeavyHitters sketch.histogram:Bin,Histogram sketch.n_unique:NUnique
sketch.set:Set stats.auto_corr:AutoCorr stats.base:Link stats.chi_squared:ChiSquared
stats.count:Count stats.cov:Cov stats.entropy:Entropy stats.ewcov:EWCov stats.ewmean:EWMean
stats.ewvar:EWVar stats.iqr:IQR,RollingIQR stats.kolmogorov_smirnov:KolmogorovSmirnov
stats.kurtosis:Kurtosis stats.mad:MAD stats.maximum:AbsMax,Max,RollingAbsMax,RollingMax
stats.mean:BayesianMean,Mean stats.minimum:Min,RollingMin stats.mode:Mode,RollingMode
stats.pearson:PearsonCorr stats.ptp:PeakToPeak,RollingPeakToPeak
stats.quantile:Quantile,RollingQuantile stats.sem:SEM stats.shift:Shift stats.skew:Skew
stats.summing:Sum stats.var:Var
tree.extremely_fast_decision_tree:ExtremelyFastDecisionTreeClassifier
tree.hoeffding_adaptive_tree_classifier:HoeffdingAdaptiveTreeClassifier
tree.hoeffding_tree_classifier:HoeffdingTreeClassifier tree.last_classifier:LASTClassifier
tree.losses:BinaryCrossEntropyLoss tree.mondrian.mondrian_tree_classifier:MondrianTreeClassifier
tree.mondrian.mondrian_tree_nodes:MondrianBranchClassifier,MondrianLeafClassifier
tree.mondrian.mondrian_tree_nodes:MondrianNodeClassifier
tree.nodes.arf_htc_nodes:RandomLeafMajorityClass,RandomLeafNaiveBayes
tree.nodes.arf_htc_nodes:RandomLeafNaiveBayesAdaptive
tree.nodes.branch:NominalBinaryBranch,NominalMultiwayBranch,NumericBinaryBranch
tree.nodes.branch:NumericMultiwayBranch tree.nodes.efdtc_nodes:EFDTLeafMajorityClass
tree.nodes.efdtc_nodes:EFDTLeafNaiveBayes,EFDTLeafNaiveBayesAdaptive
tree.nodes.efdtc_nodes:EFDTNominalBinaryBranch,EFDTNominalMultiwayBranch
tree.nodes.efdtc_nodes:EFDTNumericBinaryBranch,EFDTNumericMultiwayBranch
tree.nodes.hatc_nodes:AdaLeafClassifier,AdaNomBinaryBranchClass
tree.nodes.hatc_nodes:AdaNomMultiwayBranchClass,AdaNumBinaryBranchClass
tree.nodes.hatc_nodes:AdaNumMultiwayBranchClass
tree.nodes.htc_nodes:LeafMajorityClass,LeafNaiveBayes,LeafNaiveBayesAdaptive
tree.nodes.last_nodes:LeafMajorityClassWithDetector,LeafNaiveBayesAdaptiveWithDetector
tree.nodes.last_nodes:LeafNaiveBayesWithDetector tree.nodes.sgt_nodes:SGTLeaf
tree.padded:PaddedBranch,PaddedLeaf tree.split_criterion.gini_split_criterion:GiniSplitCriterion
tree.split_criterion.hellinger_distance_criterion:HellingerDistanceCriterion
tree.split_criterion.info_gain_split_criterion:InfoGainSplitCriterion
tree.splitter.ebst_splitter:EBSTNode,EBSTSplitter
tree.splitter.exhaustive_splitter:ExhaustiveNode,ExhaustiveSplitter
tree.splitter.gaussian_splitter:GaussianSplitter tree.splitter.histogram_splitter:HistogramSplitter
tree.splitter.nominal_splitter_classif:NominalSplitterClassif
tree.splitter.nominal_splitter_reg:NominalSplitterReg
tree.splitter.qo_splitter:FeatureQuantizer,QOSplitter,Slot
tree.splitter.sgt_quantizer:DynamicQuantizer,StaticQuantizer
tree.splitter.tebst_splitter:TEBSTSplitter tree.stochastic_gradient_tree:SGTClassifier
tree.utils:BranchFactory,GradHess,GradHessMerit,GradHessStats utils.rolling:Rolling,TimeRolling
utils.sorted_window:SortedWindow
"""

CLASSES = frozenset(OWN) | {
    f"river.{module}:{name}"
    for module, _, names in (entry.partition(":") for entry in _RIVER.split())
    for name in names.split(",")
}
