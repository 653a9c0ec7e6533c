import { describe, expect, test } from 'vitest';
import { Listeners } from '../../../src/client/listeners.ts';

function setUp() {
  const failures: unknown[] = [];
  const heard: string[] = [];
  const listeners = new Listeners<[text: string]>((error) => failures.push(error));
  return { failures, heard, listeners, hear: (name: string) => (text: string) => heard.push(`${name} ${text}`) };
}

describe('Listeners', () => {
  test('are called in order of registration, under their name only', () => {
    const { listeners, heard, hear } = setUp();
    listeners.add('x', hear('first'));
    listeners.add('y', hear('other'));
    listeners.add('x', hear('second'));
    listeners.emit('x', '1');
    expect(heard).toEqual(['first 1', 'second 1']);
  });

  test('stop is idempotent and stops one registration of a function', () => {
    const { listeners, heard, hear } = setUp();
    const listener = hear('same');
    const stop = listeners.add('x', listener);
    listeners.add('x', listener);
    stop();
    stop();
    listeners.emit('x', '1');
    expect(heard).toEqual(['same 1']);
  });

  test('stop works with using', () => {
    const { listeners, heard, hear } = setUp();
    {
      using _stop = listeners.add('x', hear('scoped'));
      listeners.emit('x', '1');
    }
    listeners.emit('x', '2');
    expect(heard).toEqual(['scoped 1']);
    expect(listeners.has('x')).toBe(false);
  });

  test('one that throws, at once or later, is reported and harms no other', async () => {
    const { listeners, failures, heard, hear } = setUp();
    listeners.add('x', () => {
      throw new Error('at once');
    });
    listeners.add('x', () => Promise.reject(new Error('later')));
    listeners.add('x', hear('other'));
    listeners.emit('x', '1');
    await Promise.resolve();
    expect(heard).toEqual(['other 1']);
    expect(failures.map((error) => (error as Error).message).sort()).toEqual(['at once', 'later']);
  });

  test('one that is added during an event hears the next one, one that is removed hears nothing more', () => {
    const { listeners, heard, hear } = setUp();
    listeners.add('x', () => {
      stop();
      listeners.add('x', hear('added'));
    });
    const stop = listeners.add('x', hear('removed'));
    listeners.emit('x', '1');
    expect(heard).toEqual([]);
    listeners.emit('x', '2');
    expect(heard).toEqual(['added 2']);
  });

  test('clear silences even the event that is being told', () => {
    const { listeners, heard, hear } = setUp();
    listeners.add('x', () => listeners.clear());
    listeners.add('x', hear('late'));
    listeners.emit('x', '1');
    expect(heard).toEqual([]);
  });
});
