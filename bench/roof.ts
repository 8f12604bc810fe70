/** Work against what the machine can do. */
export interface Cost {
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

export interface Roofs {
  /** GFLOP/s of multiply-adds in registers */
  readonly peak: number;
  /** GB/s that a copy moves */
  readonly copyRate: number;
}

export const gflopsOf = ({ flops, milliseconds }: Cost): number => flops / milliseconds / 1e6;
export const gbpsOf = ({ bytes, milliseconds }: Cost): number => bytes / milliseconds / 1e6;

/** The least time that the arithmetic alone, or moving the data alone, would take, as a share of the time it took. */
export const shareOfRoof = (cost: Cost, { peak, copyRate }: Roofs): number =>
  Math.max(gflopsOf(cost) / peak, gbpsOf(cost) / copyRate);

export function totalOf(costs: readonly Cost[]): Cost {
  let [milliseconds, flops, bytes] = [0, 0, 0];
  for (const cost of costs) {
    milliseconds += cost.milliseconds;
    flops += cost.flops;
    bytes += cost.bytes;
  }
  return { milliseconds, flops, bytes };
}
