/** Charts as SVG. Colours come from classes; attributes say the same for a reader whose policy allows no style. */

export const escapeText = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);

type Attributes = Readonly<Record<string, string | number>>;

export function element(name: string, attributes: Attributes, ...content: readonly string[]): string {
  const given = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeText(`${value}`)}"`);
  return content.length === 0
    ? `<${name}${given.join('')}/>`
    : `<${name}${given.join('')}>${content.join('')}</${name}>`;
}

/** Coordinates need no more than this. */
const round = (value: number): number => Math.round(value * 10) / 10;

const label = (x: number, y: number, text: string, more: Attributes = {}): string =>
  element('text', { x: round(x), y: round(y), fill: 'currentColor', ...more }, escapeText(text));

const titled = (text: string): string => element('title', {}, escapeText(text));

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** What stands at its end. */
  readonly text: string;
  /** Of the middle half, where it is known. */
  readonly range?: readonly [number, number];
}

const WIDTH = 860;
const ROW = 34;
const NAMES = 210;
const TEXTS = 210;

const svg = (height: number, name: string, content: readonly string[]): string =>
  element(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${height}`, width: '100%', role: 'img', 'aria-label': name, 'font-size': 14 },
    ...content,
  );

/** Bars from 0 to `most`, or as far as the longest of them and its range go. */
export function bars(
  name: string,
  rows: readonly Bar[],
  most = Math.max(...rows.map(({ value, range }) => Math.max(value, range?.[1] ?? 0))),
): string {
  const scale = (value: number): number => (WIDTH - NAMES - TEXTS) * Math.min(1, value / most);
  const content = rows.flatMap(({ name: row, value, text, range }, index) => {
    const y = index * ROW + 6;
    const middle = y + (ROW - 12) / 2 + 5;
    const length = Number.isFinite(value) ? Math.max(1, scale(value)) : 0;
    const spread =
      range === undefined
        ? []
        : [
            element('path', {
              class: 'spread',
              d: `M${round(NAMES + scale(range[0]))} ${middle - 5}H${round(NAMES + scale(range[1]))}`,
              stroke: 'currentColor',
              'stroke-width': 2,
              opacity: 0.7,
            }),
          ];
    const end = NAMES + Math.max(length, scale(range?.[1] ?? 0)) + 8;
    return [
      label(NAMES - 10, middle, row, { 'text-anchor': 'end' }),
      element(
        'rect',
        { class: 'bar', x: NAMES, y, width: round(length), height: ROW - 12, rx: 3, fill: '#4a84c4' },
        titled(`${row}: ${text}`),
      ),
      ...spread,
      label(end, middle, text),
    ];
  });
  const axis = element('path', { class: 'axis', d: `M${NAMES} 0V${rows.length * ROW}`, stroke: '#888' });
  return svg(rows.length * ROW + 2, name, [...content, axis]);
}

export interface Point {
  readonly name: string;
  /** Operations for each byte. */
  readonly intensity: number;
  /** GFLOP/s */
  readonly rate: number;
  /** Of the time, 0 … 1. */
  readonly weight: number;
  readonly text: string;
}

/** A roof of memory: GB/s, and what that is the bandwidth of. */
export interface Slope {
  readonly name: string;
  readonly bandwidth: number;
}

const PLOT = { left: 64, right: 20, top: 16, bottom: 44, height: 380 } as const;

/** Powers of ten around some values. */
function decades(values: readonly number[]): readonly [number, number] {
  const finite = values.filter((value) => value > 0 && Number.isFinite(value));
  return [Math.floor(Math.log10(Math.min(...finite))), Math.ceil(Math.log10(Math.max(...finite)))];
}

const powers = ([from, to]: readonly [number, number]): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

const formatPower = (power: number): string => (power >= 0 ? (10 ** power).toLocaleString('en') : `${10 ** power}`);

/** About as wide as a letter. */
const LETTER = 6.5;
/** How many of the points, those that take most of the time, are named in the plot. */
const NAMED = 6;

/** A roofline (Williams, Waterman, Patterson 2009): what was reached over intensity, below what memory and arithmetic allow. */
export function roofline(name: string, peak: number, slopes: readonly Slope[], points: readonly Point[]): string {
  const ridges = slopes.map(({ bandwidth }) => peak / bandwidth);
  const xs = decades([...points.map(({ intensity }) => intensity), ...ridges.map((ridge) => ridge * 2), 0.1]);
  const ys = decades([...points.map(({ rate }) => rate), peak]);
  const [width, height] = [WIDTH - PLOT.left - PLOT.right, PLOT.height - PLOT.top - PLOT.bottom];
  const x = (intensity: number): number => PLOT.left + (width * (Math.log10(intensity) - xs[0])) / (xs[1] - xs[0]);
  const y = (rate: number): number => PLOT.top + height * (1 - (Math.log10(rate) - ys[0]) / (ys[1] - ys[0]));
  const [bottom, right] = [PLOT.top + height, PLOT.left + width];

  const grid = [
    ...powers(xs).map((power) => `M${round(x(10 ** power))} ${PLOT.top}V${bottom}`),
    ...powers(ys).map((power) => `M${PLOT.left} ${round(y(10 ** power))}H${right}`),
  ];
  const ticks = [
    ...powers(xs).map((power) => label(x(10 ** power), bottom + 18, formatPower(power), { 'text-anchor': 'middle' })),
    ...powers(ys).map((power) =>
      label(PLOT.left - 8, y(10 ** power) + 5, formatPower(power), { 'text-anchor': 'end' }),
    ),
    label(PLOT.left + width / 2, bottom + 38, 'operations per byte', { 'text-anchor': 'middle' }),
    label(PLOT.left + 6, PLOT.top + 14, 'GFLOP/s'),
  ];
  const roofs = slopes.flatMap(({ name: slope, bandwidth }) => {
    const from = Math.max(10 ** xs[0], 10 ** ys[0] / bandwidth);
    const ridge = peak / bandwidth;
    const d = `M${round(x(from))} ${round(y(from * bandwidth))}L${round(x(ridge))} ${round(y(peak))}H${right}`;
    const text = `${slope}: ${bandwidth.toPrecision(3)} GB/s`;
    const [startX, startY] = [x(from) + 6, y(from * bandwidth)];
    const angle = (Math.atan2(y(peak) - startY, x(ridge) - x(from)) * 180) / Math.PI;
    return [
      element('path', { class: 'roof', d, fill: 'none', stroke: '#c2703a', 'stroke-width': 2 }, titled(text)),
      element(
        'text',
        {
          transform: `translate(${round(startX)} ${round(startY - 8)}) rotate(${round(angle)})`,
          x: 26,
          y: 0,
          'font-size': 12,
          fill: 'currentColor',
        },
        escapeText(text),
      ),
    ];
  });
  const top = label(right - 4, y(peak) - 7, `peak: ${peak.toPrecision(3)} GFLOP/s`, {
    'text-anchor': 'end',
    'font-size': 12,
  });
  const heaviest = points.toSorted((a, b) => b.weight - a.weight);
  const named = new Set(heaviest.slice(0, NAMED));
  const taken: { x: number; y: number }[] = [];
  const marks = heaviest.map((point) => {
    const [px, py, radius] = [x(point.intensity), y(point.rate), 4 + 12 * Math.sqrt(point.weight)];
    const circle = element(
      'circle',
      { class: 'point', cx: round(px), cy: round(py), r: round(radius), fill: '#4a84c4', 'fill-opacity': 0.75 },
      titled(point.text),
    );
    if (!named.has(point)) return circle;
    const leftwards = px + radius + 5 + LETTER * point.name.length > right;
    let textY = py + 4;
    while (taken.some((other) => Math.abs(other.x - px) < 170 && Math.abs(other.y - textY) < 14)) textY += 14;
    taken.push({ x: px, y: textY });
    const textX = leftwards ? px - radius - 5 : px + radius + 5;
    return circle + label(textX, textY, point.name, { 'font-size': 12, 'text-anchor': leftwards ? 'end' : 'start' });
  });
  return svg(PLOT.height, name, [
    element('path', { class: 'grid', d: grid.join(''), stroke: '#888', opacity: 0.25 }),
    ...ticks,
    ...roofs,
    top,
    ...marks,
  ]);
}
