// One dashboard, drawn with Grafana's own components from the answers in window.PAGE.
//
// Lines, numbers, bars and tables are Grafana's; so are units, thresholds, mappings, overrides,
// colours and transformations. Panels whose drawing is not on npm (timelines, bar charts, heatmaps)
// are drawn plainly here, from the same fields.

import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  applyFieldOverrides, createTheme, FieldType, getFieldDisplayName,
  getFieldDisplayValues, getDisplayValueAlignmentFactors, dateTime, standardTransformers, standardTransformersRegistry,
  standardFieldConfigEditorRegistry, FieldConfigOptionsRegistry, ThemeContext, toDataFrame,
  transformDataFrame, LoadingState,
} from '@grafana/data';
import {
  BarGauge, BigValue, GlobalStyles, PanelChrome, PanelContextProvider, Table, TimeSeries,
  VizRepeater,
} from '@grafana/ui';
import { of } from 'rxjs';

const { panels, from, to, width, mode } = window.PAGE;
const markers = [...window.PAGE.markers].reverse(); // The first is drawn last, upon the others.
const CELL = 30, GAP = 8, HEAD = 42, PAD = 8;
const theme = createTheme({ colors: { mode } });
const timeRange = {
  from: dateTime(from * 1000), to: dateTime(to * 1000),
  raw: { from: dateTime(from * 1000), to: dateTime(to * 1000) },
};
const LINE = {
  drawStyle: 'line', lineWidth: 1, fillOpacity: 0, gradientMode: 'none', showPoints: 'never',
  pointSize: 5, axisPlacement: 'auto', axisLabel: '', axisColorMode: 'text', axisBorderShow: false,
  scaleDistribution: { type: 'linear' }, stacking: { mode: 'none', group: 'A' },
  hideFrom: { tooltip: false, viz: false, legend: false }, thresholdsStyle: { mode: 'off' },
  lineInterpolation: 'linear', barAlignment: 0, insertNulls: false, spanNulls: false,
  axisCenteredZero: false, lineStyle: { fill: 'solid' },
};

standardTransformersRegistry.setInit(() =>
  [...new Set(Object.values(standardTransformers))].map((one) => ({
    id: one.id, name: one.name, transformation: one, editor: () => null,
  })),
);

// ---------------------------------------------------------------------------------- fields

const plain = (path, isCustom) => ({
  id: isCustom ? `custom.${path}` : path, path, isCustom, name: path, settings: {},
  editor: () => null, override: () => null, process: (value) => value, shouldApply: () => true,
});
const properties = () => [
  ...['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'color', 'thresholds',
    'mappings', 'links'].map((path) => plain(path, false)),
  ...[...Object.keys(LINE), 'fillBelowTo', 'align', 'cellOptions', 'filterable'].map((path) =>
    plain(path, true)),
];
standardFieldConfigEditorRegistry.setInit(() => properties().filter((one) => !one.isCustom));
const registry = new FieldConfigOptionsRegistry(properties);

const number = (value) => (Number.isFinite(value) ? value : null);

// As Grafana's Prometheus source hands them on: a frame a series, or one a query as a table.
function framesOf(panel) {
  const isTable = ['table', 'barchart'].includes(panel.type);
  if (!isTable) {
    const times = [...new Set(panel.series.flatMap((one) => one.points.map(([at]) => at)))].sort((a, b) => a - b);
    return panel.series.map((one) => {
      const known = new Map(one.points);
      return toDataFrame({
        refId: one.refId,
        name: one.legend,
        fields: [
          { name: 'Time', type: FieldType.time, values: times.map((at) => at * 1000) },
          {
            name: 'Value', type: FieldType.number, labels: one.metric,
            config: { displayNameFromDS: one.legend === '__auto' ? panel.title : one.legend },
            values: times.map((at) => number(known.get(at))),
          },
        ],
      });
    });
  }
  const refs = panel.targets.map((target) => target.refId);
  return refs.map((refId) => {
    const rows = panel.series.filter((one) => one.refId === refId);
    const labels = [...new Set(rows.flatMap((one) => Object.keys(one.metric)))].sort();
    return toDataFrame({
      refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: rows.map((one) => one.points[0][0] * 1000) },
        ...labels.map((label) => ({
          name: label, type: FieldType.string, values: rows.map((one) => one.metric[label]),
        })),
        {
          name: refs.length > 1 ? `Value #${refId}` : 'Value', type: FieldType.number,
          values: rows.map((one) => number(one.points[0][1])),
        },
      ],
    });
  });
}

function styled(panel, frames) {
  const fieldConfig = structuredClone(panel.fieldConfig);
  fieldConfig.defaults.custom = { ...LINE, ...fieldConfig.defaults.custom };
  return applyFieldOverrides({
    data: frames, fieldConfig, theme, timeZone: 'utc', fieldConfigRegistry: registry,
    replaceVariables: (text) => text,
  });
}

const transformed = (panel) => {
  let out = [];
  const steps = panel.transformations ?? [];
  transformDataFrame(steps, framesOf(panel)).subscribe((frames) => { out = frames; });
  return styled(panel, out);
};

// --------------------------------------------------------------------------------- drawings

function Lines({ panel, width, height }) {
  const frames = styled(panel, framesOf(panel));
  return (
    <TimeSeries frames={frames} timeRange={timeRange} timeZone="utc" width={width} height={height}
      legend={panel.options.legend} options={panel.options} structureRev={1}>
      {(config) => { mark(config); return null; }}
    </TimeSeries>
  );
}

// Markers as Grafana draws them: a dashed line over the plot and a triangle under it.
const marked = new WeakSet();
function mark(config) {
  if (marked.has(config)) return;
  marked.add(config);
  config.addHook('draw', (plot) => {
    const { ctx, bbox } = plot, ratio = window.devicePixelRatio;
    ctx.save();
    for (const { at, color } of markers) {
      const x = Math.round(plot.valToPos(at * 1000, 'x', true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = ctx.fillStyle = theme.visualization.getColorByName(color);
      ctx.lineWidth = ratio;
      ctx.setLineDash([4 * ratio, 4 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.beginPath();
      ctx.moveTo(x - 4 * ratio, bbox.top + bbox.height + 6 * ratio);
      ctx.lineTo(x + 4 * ratio, bbox.top + bbox.height + 6 * ratio);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.fill();
    }
    ctx.restore();
  });
}

function Stat({ panel, width, height }) {
  const data = styled(panel, framesOf(panel));
  const values = getFieldDisplayValues({
    fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions, data, theme,
    sparkline: panel.options.graphMode !== 'none', timeZone: 'utc', replaceVariables: (t) => t,
  });
  const found = values[0];
  if (!found) return <Nothing text={panel.fieldConfig.defaults.noValue} />;
  return (
    <BigValue value={found.display} sparkline={found.sparkline} theme={theme} width={width}
      height={height} colorMode={panel.options.colorMode} graphMode={panel.options.graphMode}
      justifyMode={panel.options.justifyMode} textMode={panel.options.textMode} />
  );
}

function Ranking({ panel, width, height }) {
  const data = styled(panel, framesOf(panel));
  const getValues = () => getFieldDisplayValues({
    fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions, data, theme,
    timeZone: 'utc', replaceVariables: (t) => t,
  });
  return (
    <VizRepeater
      getAlignmentFactors={(values) => getDisplayValueAlignmentFactors(values)}
      getValues={getValues} source={data} width={width} height={height} autoGrid
      itemSpacing={4} orientation="horizontal" renderCounter={0} minVizHeight={16} maxVizHeight={40}
      renderValue={({ value, width, height, alignmentFactors }) => (
        <BarGauge value={value.display} field={value.field} width={width} height={height} theme={theme}
          displayMode={panel.options.displayMode} orientation="horizontal" itemSpacing={8}
          valueDisplayMode={panel.options.valueMode} namePlacement={panel.options.namePlacement}
          showUnfilled display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          text={{ titleSize: 12, valueSize: 13 }} alignmentFactors={alignmentFactors} />
      )} />
  );
}

function Rows({ panel, width, height }) {
  const [frame] = transformed(panel);
  return frame?.length ? <Table data={frame} width={width} height={height} cellHeight="sm" /> : <Nothing />;
}

function Timeline({ panel, width, height }) {
  const frames = styled(panel, framesOf(panel));
  const names = frames.map((frame) => getFieldDisplayName(frame.fields[1], frame, frames));
  const left = Math.min(170, 12 + 6.6 * Math.max(...names.map((name) => name.length)));
  const axis = 22, band = (height - axis) / frames.length;
  const place = (at) => left + ((at / 1000 - from) / (to - from)) * (width - left);
  const ticks = Array.from({ length: 9 }, (_, i) => from + ((to - from) * (i + 0.5)) / 9);
  return (
    <svg width={width} height={height} fontFamily={theme.typography.fontFamily} fontSize={12} fill={theme.colors.text.primary}>
      {frames.map((frame, row) => {
        const [times, values] = [frame.fields[0].values, frame.fields[1].values];
        const step = (times[1] ?? to * 1000) - times[0];
        return (
          <g key={row}>
            <text x={left - 8} y={band * (row + 0.5) + 4} textAnchor="end">{names[row]}</text>
            {runs(values.map((value) => value === null ? null : frame.fields[1].display(value).color)).map(([i, n]) => values[i] === null ? null : (
              <rect key={i} x={place(times[i])} y={band * row + 2} height={band - 4}
                width={Math.min(width, place(times[i] + n * step)) - place(times[i])}
                fill={frame.fields[1].display(values[i]).color} opacity={0.8} />
            ))}
          </g>
        );
      })}
      {markers.map(({ at, color }, i) => at < from || at > to ? null : (
        <line key={i} x1={place(at * 1000)} x2={place(at * 1000)} y1={0} y2={height - axis}
          stroke={theme.visualization.getColorByName(color)} strokeDasharray="4 4" />
      ))}
      {ticks.map((at) => (
        <text key={at} x={place(at * 1000)} y={height - 5} textAnchor="middle" opacity={0.75}>
          {new Date(at * 1000).toISOString().slice(11, 16)}
        </text>
      ))}
    </svg>
  );
}

// Where a colour begins and how often it comes: [1, 1, 2] -> [[0, 2], [2, 1]].
function runs(values) {
  const found = [];
  values.forEach((value, i) => {
    if (i && value === values[i - 1]) found.at(-1)[1] += 1;
    else found.push([i, 1]);
  });
  return found;
}

function Columns({ panel, width, height }) {
  const [frame] = transformed(panel);
  if (!frame?.length) return <Nothing />;
  const x = frame.fields.find((field) => field.name === panel.options.xField);
  const sides = frame.fields.filter((field) => field.type === FieldType.number);
  const most = Math.max(...sides.flatMap((field) => field.values.map((value) => value ?? 0)));
  const low = 38, left = 44, slot = (width - left) / x.values.length;
  const y = (value) => (height - low) * (1 - value / (most * 1.05));
  return (
    <svg width={width} height={height} fontFamily={theme.typography.fontFamily} fontSize={11} fill={theme.colors.text.primary}>
      {[0, 0.5, 1].map((part) => (
        <g key={part}>
          <line x1={left} x2={width} y1={y(most * part)} y2={y(most * part)} stroke={theme.colors.border.weak} />
          <text x={left - 6} y={y(most * part) + 8} textAnchor="end">{shown(sides[0], most * part)}</text>
        </g>
      ))}
      {x.values.map((name, i) => (
        <g key={name}>
          {sides.map((field, j) => {
            const each = (slot * 0.8) / sides.length, value = field.values[i] ?? 0;
            return <rect key={j} x={left + slot * (i + 0.1) + j * each} width={each * 0.95} y={y(value)}
              height={height - low - y(value)} fill={field.display(value).color} opacity={0.8} />;
          })}
          <text x={left + slot * (i + 0.5)} y={height - low + 14} textAnchor="middle">{String(name).slice(0, Math.floor(slot / 6))}</text>
        </g>
      ))}
      {sides.map((field, j) => (
        <g key={j}>
          <rect x={left + 100 * j} y={height - 10} width={14} height={4} fill={field.display(0).color} />
          <text x={left + 100 * j + 20} y={height - 4}>{getFieldDisplayName(field, frame)}</text>
        </g>
      ))}
    </svg>
  );
}

function Heat({ panel, width, height }) {
  const frames = [...styled(panel, framesOf(panel))].sort((a, b) => bound(a) - bound(b));
  const counts = frames.map((frame, i) =>
    frame.fields[1].values.map((value, t) => Math.max(0, (value ?? 0) - (i ? frames[i - 1].fields[1].values[t] ?? 0 : 0))));
  const most = Math.max(...counts.flat(), 1e-9);
  const left = 64, low = 20, wide = (width - left) / counts[0].length, high = (height - low) / counts.length;
  return (
    <svg width={width} height={height} fontFamily={theme.typography.fontFamily} fontSize={11} fill={theme.colors.text.primary}>
      {counts.map((row, i) => (
        <g key={i}>
          <text x={left - 6} y={height - low - high * (i + 0.35)} textAnchor="end">
            {Number.isFinite(bound(frames[i])) ? shown(frames[i].fields[1], bound(frames[i])) : 'above'}
          </text>
          {row.map((count, t) => count > 0 && (
            <rect key={t} x={left + wide * t} y={height - low - high * (i + 1)} width={wide + 0.3}
              height={high - 1} fill="#3274d9" opacity={0.1 + 0.9 * Math.sqrt(count / most)} />
          ))}
        </g>
      ))}
    </svg>
  );
}

const bound = (frame) => Number(frame.fields[1].labels.le.replace('+Inf', 'Infinity'));
const shown = (field, value) => {
  const { text, suffix } = field.display(value);
  return text + (suffix ?? '');
};
const Nothing = ({ text }) => (
  <div style={{ opacity: 0.6, textAlign: 'center', paddingTop: 12, fontSize: 18 }}>{text ?? 'No data'}</div>
);

const DRAWN = {
  timeseries: Lines, stat: Stat, bargauge: Ranking, table: Rows, 'state-timeline': Timeline,
  barchart: Columns, heatmap: Heat,
};

// ------------------------------------------------------------------------------------ page

function Panel({ panel }) {
  const cell = (width + GAP) / 24;
  const { x, y, w, h } = panel.gridPos;
  const box = {
    position: 'absolute', left: x * cell, top: y * (CELL + GAP), width: w * cell - GAP,
    height: h * (CELL + GAP) - GAP,
  };
  if (panel.type === 'row') {
    return <div style={{ ...box, ...theme.typography.h5, paddingTop: 4 }}>⌄ {panel.title}</div>;
  }
  const Drawn = DRAWN[panel.type];
  return (
    <div style={box}>
      <PanelChrome title={panel.title} width={box.width} height={box.height} padding="none"
        description={panel.description} loadingState={LoadingState.Done}>
        {(innerWidth, innerHeight) => (
          <div style={{ padding: PAD }}>
            <Guard panel={panel}>
              <Drawn panel={panel} width={innerWidth - 2 * PAD} height={innerHeight - 2 * PAD} />
            </Guard>
          </div>
        )}
      </PanelChrome>
    </div>
  );
}

class Guard extends React.Component {
  state = {};
  static getDerivedStateFromError(error) { return { error }; }
  componentDidCatch(error) { console.error(`${this.props.panel.title}: ${error.stack}`); }
  render() { return this.state.error ? <Nothing text="can't be drawn" /> : this.props.children; }
}

const rows = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
const quiet = { publish() {}, getStream: () => of(), subscribe: () => ({ unsubscribe() {} }), removeAllListeners() {}, newScopedBus: () => quiet };
createRoot(document.getElementById('page')).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <PanelContextProvider value={{ eventsScope: 'page', eventBus: quiet }}>
      <div style={{ position: 'relative', width, height: rows * (CELL + GAP) - GAP, margin: 12 }}>
        {panels.map((panel) => <Panel key={panel.key ?? panel.id} panel={panel} />)}
      </div>
    </PanelContextProvider>
  </ThemeContext.Provider>,
);
setTimeout(() => { document.title = 'drawn'; }, 500);
