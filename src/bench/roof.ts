/** Work against what the machine can do. */
export interface Cost {
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

export interface Roofs {
  /** GFLOP/s of multiply-adds in registers */
  readonly peak: number;
  /** GB/s at most for so many bytes */
  readonly bandwidth: (bytes: number) => number;
}

export const gflopsOf = ({ flops, milliseconds }: Cost): number => flops / milliseconds / 1e6;
export const gbpsOf = ({ bytes, milliseconds }: Cost): number => bytes / milliseconds / 1e6;

/** The least milliseconds that the arithmetic alone, and moving the data alone, would take. */
export interface Floor {
  readonly arithmetic: number;
  readonly memory: number;
}

export function floorOf({ flops, bytes }: Pick<Cost, 'flops' | 'bytes'>, { peak, bandwidth }: Roofs): Floor {
  return {
    arithmetic: flops === 0 ? 0 : flops / peak / 1e6,
    memory: bytes === 0 ? 0 : bytes / bandwidth(bytes) / 1e6,
  };
}

/** The nearer roof of a piece of work is the one that would keep it longer. */
export const nearerRoof = ({ arithmetic, memory }: Floor): keyof Floor =>
  memory > arithmetic ? 'memory' : 'arithmetic';

export function totalOf(costs: readonly Cost[]): Cost {
  let [milliseconds, flops, bytes] = [0, 0, 0];
  for (const cost of costs) {
    milliseconds += cost.milliseconds;
    flops += cost.flops;
    bytes += cost.bytes;
  }
  return { milliseconds, flops, bytes };
}

/**
 * Several pieces of work one after the other: the share of their time that each, at its own nearer roof, would have needed, and the
 * roof that most of it is for. A share of NaN where there is no roof.
 */
export function shareOfNearerRoof(costs: readonly Cost[], roofs: Roofs): { share: number; roof: keyof Floor } {
  const needed = { arithmetic: 0, memory: 0 };
  for (const cost of costs) {
    const floor = floorOf(cost, roofs);
    const roof = nearerRoof(floor);
    needed[roof] += floor[roof];
  }
  const share = (needed.arithmetic + needed.memory) / totalOf(costs).milliseconds;
  return { share, roof: nearerRoof(needed) };
}
