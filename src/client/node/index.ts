/** The door for Node: all of the SDK, with a client that keeps files. */
export * from '../index.ts';
export { ConfigClient, type ConfigClientOptions } from './config-client.ts';
export type { EncryptionKey } from './encryption-key.ts';
export { fromEnv, type EnvironmentOptions } from './from-env.ts';
