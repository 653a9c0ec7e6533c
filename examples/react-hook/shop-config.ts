// In your own project: import { ConfigClient } from 'attune-client';
import { z } from 'zod';
import { ConfigClient } from '../../src/client/index.ts';

const schema = { 'shop/banner': z.object({ text: z.string(), color: z.string() }).default({ text: 'Welcome', color: 'gray' }) };

export type ShopConfig = ConfigClient<typeof schema>;

/** Not started yet: a page is rendered with the defaults at once, and with what is true as soon as that is known. */
export function createShopConfig(url: string, onError: (error: unknown) => void = () => undefined): ShopConfig {
  return new ConfigClient({ url, prefix: 'shop/', schema, onError });
}
