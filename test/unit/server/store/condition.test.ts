import { describe, expect, it } from 'vitest';
import { unmetCondition, type ConditionSubject, type WriteCondition } from '../../../../src/server/store/condition.ts';
import { at } from '../stored.ts';

const current: ConditionSubject = { version: at(43), etag: 'e-43', updatedBy: 'ann' };

describe('a condition', () => {
  it.each<[string, WriteCondition, ConditionSubject | undefined]>([
    ['nothing is asked of an item', {}, current],
    ['nothing is asked of no item', {}, undefined],
    ['the version is that of the item', { ifVersion: at(43) }, current],
    ['version 0 is asked of no item', { ifVersion: at(0) }, undefined],
    ['one of the tags is that of the item', { ifMatch: ['x-1', 'e-43'] }, current],
    ['any item is asked for and there is one', { ifMatch: '*' }, current],
    ['no item is asked for and there is none', { ifAbsent: true }, undefined],
  ])('holds when %s', (_, condition, subject) => {
    expect(unmetCondition('k', condition, subject)).toBeUndefined();
  });

  it.each<[string, WriteCondition, ConditionSubject | undefined]>([
    ['the version is older', { ifVersion: at(41) }, current],
    ['the version is newer', { ifVersion: at(44) }, current],
    ['a version is asked of no item', { ifVersion: at(41) }, undefined],
    ['version 0 is asked of an item', { ifVersion: at(0) }, current],
    ['no tag is that of the item', { ifMatch: ['e-42', 'x-43'] }, current],
    ['a tag is asked of no item', { ifMatch: ['e-43'] }, undefined],
    ['an empty list of tags is asked', { ifMatch: [] }, current],
    ['any item is asked for and there is none', { ifMatch: '*' }, undefined],
    ['no item is asked for and there is one', { ifAbsent: true }, current],
    ['one part holds and the other does not', { ifMatch: '*', ifAbsent: true }, current],
    ['one part holds and the other does not, without an item', { ifMatch: '*', ifAbsent: true }, undefined],
  ])('does not hold when %s', (_, condition, subject) => {
    const error = unmetCondition('k', condition, subject);
    expect(error?.code).toBe('CONFLICT');
    expect(error?.details).toEqual({ current: subject ? { version: 43, etag: 'e-43', updatedBy: 'ann' } : null });
  });

  it('says what is there and what was sent', () => {
    expect(unmetCondition('app/x', { ifVersion: at(41) }, current)?.message).toBe('app/x is at version 43, you sent 41');
    expect(unmetCondition('app/x', { ifMatch: ['e-41'] }, undefined)?.message).toBe('app/x does not exist, you sent "e-41"');
    expect(unmetCondition('app/x', { ifVersion: at(0) }, current)?.message).toBe('app/x is at version 43, you asked for no such key');
  });
});
