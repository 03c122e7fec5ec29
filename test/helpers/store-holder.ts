import { StoreError } from '../../lib/errors.ts';
import { FileStore } from '../../lib/supervisor/file-store.ts';

/** A hub that uses a directory until it is killed: it writes all the time, and says so. */
const [directory = ''] = process.argv.slice(2);
const store = new FileStore(directory);
try {
  for (let count = 0; ; count += 1) {
    await Promise.all([
      store.set('steady', { count, text: 'x'.repeat(count % 5000) }),
      count % 2 === 0 ? store.set('fleeting', { count }) : store.delete('fleeting'),
    ]);
    process.stdout.write(`${count}\n`);
  }
} catch (error) {
  process.exitCode = error instanceof StoreError ? 3 : 1;
}
