import type { Distribution } from './result.ts';

/** By how a party's name begins, the same in every panel; readable by those who see few colours. */
const COLOURS: readonly (readonly [string, string])[] = [
  ['Attune', '#0072b2'],
  ['bare', '#d55e00'],
  ['Consul', '#009e73'],
  ['', '#cc79a7'],
];
const PANEL = { width: 560, height: 300, left: 52, right: 16, top: 34, bottom: 62 };
const COLUMNS = 2;
const HEADER = 46;

interface Scale {
  readonly from: number;
  readonly to: number;
}

/**
 * A picture of distributions, one panel each: which share of the times (upwards) lies below how many milliseconds (to the right, logarithmic). The
 * further to the left a line rises, the faster. The picture of the same data is the same text.
 */
export function drawDistributions(title: string, distributions: readonly Distribution[]): string {
  const drawn = distributions.filter(({ parties }) => parties.some(({ times }) => times.length > 0));
  const rows = Math.ceil(drawn.length / COLUMNS);
  const [width, height] = [PANEL.width * COLUMNS, HEADER + PANEL.height * rows];
  const panels = drawn.map((distribution, index) => {
    const [x, y] = [(index % COLUMNS) * PANEL.width, HEADER + Math.floor(index / COLUMNS) * PANEL.height];
    return `<g transform="translate(${x} ${y})">\n${drawPanel(distribution)}\n</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(16, 28, title, 'font-size="17" font-weight="bold"'),
    ...panels,
    '</svg>',
    '',
  ].join('\n');
}

function drawPanel({ title, parties }: Distribution): string {
  const scale = scaleOf(parties.flatMap(({ times }) => times));
  const { left, top } = PANEL;
  const [bottom, right] = [PANEL.height - PANEL.bottom, PANEL.width - PANEL.right];
  const x = (value: number): number =>
    left + ((Math.log10(value) - Math.log10(scale.from)) / (Math.log10(scale.to) - Math.log10(scale.from))) * (right - left);
  const y = (share: number): number => bottom - share * (bottom - top);
  const grid = [
    ...ticksOf(scale).flatMap((value) => [
      `<path d="M${round(x(value))} ${top}V${bottom}" stroke="#e0e0e0"/>`,
      text(x(value), bottom + 16, label(value), 'text-anchor="middle" fill="#555555"'),
    ]),
    ...[0, 0.5, 0.9, 1].flatMap((share) => [
      `<path d="M${left} ${round(y(share))}H${right}" stroke="#e0e0e0"/>`,
      text(left - 6, y(share) + 4, `${share * 100} %`, 'text-anchor="end" fill="#555555"'),
    ]),
  ];
  const lines = parties.map(({ name, times }) => {
    const points = times.map((time, rank) => `${round(x(Math.max(time, scale.from)))} ${round(y((rank + 1) / times.length))}`);
    return `<path d="M${points.join('L')}" fill="none" stroke="${colourOf(name)}" stroke-width="${name.startsWith('Attune') ? 2.5 : 1.5}"/>`;
  });
  const legend = parties.map(({ name }, index) => {
    const at = left + (index * (right - left)) / parties.length;
    return `<path d="M${round(at)} ${bottom + 40}h14" stroke="${colourOf(name)}" stroke-width="3"/>${text(at + 19, bottom + 44, name, '')}`;
  });
  return [text(left, top - 12, `${title} (ms)`, 'font-size="14" font-weight="bold"'), ...grid, ...lines, ...legend].join('\n');
}

/** Whole powers of ten would leave much of a panel empty: steps of 1, 2, 5. */
function scaleOf(times: readonly number[]): Scale {
  const positive = times.filter((time) => time > 0);
  const [least, most] = [Math.min(...thinned(positive)), Math.max(...thinned(positive))];
  const from = stepsAround(least).findLast((step) => step <= least) ?? least;
  const to = stepsAround(most).find((step) => step >= most) ?? most;
  return from < to ? { from, to } : { from: from / 2, to: to * 2 };
}

/** Only ends are looked for; a call has no room for a million arguments. */
function thinned(values: readonly number[]): readonly number[] {
  return [
    values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY),
    values.reduce((most, value) => Math.max(most, value), 0),
  ];
}

function stepsAround(value: number): readonly number[] {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power);
}

function ticksOf({ from, to }: Scale): readonly number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power++)
    ticks.push(...[1, 2, 5].map((step) => step * 10 ** power));
  return ticks.filter((tick) => tick >= from * 0.999 && tick <= to * 1.001);
}

const label = (value: number): string => String(Number(value.toPrecision(1)));
const round = (value: number): number => Math.round(value * 10) / 10;
const colourOf = (name: string): string => COLOURS.find(([begin]) => name.startsWith(begin))?.[1] ?? '#000000';

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escape(content)}</text>`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
