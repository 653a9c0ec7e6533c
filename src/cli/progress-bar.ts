import type { Terminal } from './terminal.ts';

/** How far something is, on one line of stderr that is written over. */
export interface ProgressBar extends Disposable {
  show(done: number): void;
}

const WIDTH = 30;
const MIN_INTERVAL_MS = 50;

/**
 * A bar for `total` steps; none where stderr is no terminal. Our own: the prompt library's bar takes the keyboard over and ends the process with 0 at Ctrl-C,
 * whatever is under way.
 */
export function showProgress(terminal: Terminal, label: string, total: number): ProgressBar {
  let lastMs = 0;
  const erase = '\r\u001b[2K';
  return {
    show: (done) => {
      const now = Date.now();
      if (!terminal.isLive || (now - lastMs < MIN_INTERVAL_MS && done < total)) return;
      lastMs = now;
      const filled = Math.round((done / Math.max(total, 1)) * WIDTH);
      const bar = terminal.paint('cyan', '█'.repeat(filled), 'stderr') + terminal.paint('dim', '░'.repeat(WIDTH - filled), 'stderr');
      terminal.draw(`${erase}${label} ${bar} ${done}/${total}`);
    },
    [Symbol.dispose]: () => {
      if (terminal.isLive && lastMs > 0) terminal.draw(erase);
    },
  };
}
