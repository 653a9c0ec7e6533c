/** Writes states of growing revisions into a snapshot file, one after the other without a pause, until it is killed. */
import { SnapshotFile } from '../../src/client/node/snapshot-file.ts';

const [path = '', name = ''] = process.argv.slice(2);
// No pause: time stands still, and timers are due at once.
const clock = {
  now: () => 0,
  after: (_delayMs: number, callback: () => void) => {
    const timer = setImmediate(callback);
    return () => clearImmediate(timer);
  },
};
const file = new SnapshotFile({ path, clock });
let revision = 0;

function change(): void {
  file.changed(['app/'], () => {
    revision++;
    setImmediate(change);
    const items = Array.from({ length: 500 }, (_, index) => ({
      key: `app/${name}/${index}`,
      version: revision,
      value: `${revision} `.repeat(100),
      contentType: 'text/plain',
      metadata: {},
    }));
    if (revision === 2) process.stdout.write('writing\n');
    return { savedAt: 0, revision, items };
  });
}

change();
setInterval(() => undefined, 1_000);
