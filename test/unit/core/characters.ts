import fc from 'fast-check';

/** Any code point of UTF-8: no lone surrogates. Made by hand, since the built-in unit of all of them takes seconds to set up. */
export const anyCharacter = fc
  .oneof(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((point) => String.fromCodePoint(point));

export const anyText = fc.string({ unit: anyCharacter });
