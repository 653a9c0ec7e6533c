import type { Terminal } from '../../../src/cli/terminal.ts';

/** A terminal that keeps what it is told; no colours, nobody to ask. */
export interface FakeTerminal extends Terminal {
  readonly printed: string[];
  readonly told: string[];
  readonly drawn: string[];
}

export function fakeTerminal(options: { readonly isLive?: boolean } = {}): FakeTerminal {
  const printed: string[] = [];
  const told: string[] = [];
  const drawn: string[] = [];
  return {
    printed,
    told,
    drawn,
    env: {},
    canAsk: false,
    isLive: options.isLive === true,
    columns: undefined,
    print: async (data) => void printed.push(String(data)),
    tell: (line) => void told.push(line),
    draw: (text) => void drawn.push(text),
    paint: (_style, text) => text,
    readInput: async () => new Uint8Array(),
  };
}
