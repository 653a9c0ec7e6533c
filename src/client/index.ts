// What its types are made of: `Disposable`, which no runtime need have.
/// <reference lib="esnext.disposable" preserve="true" />
export type { BackoffOptions } from '../core/backoff.ts';
export { AttuneError, ERROR_CODES, isAttuneError, type ErrorCode, type ErrorDetails } from '../core/errors.ts';
export type { ChangeType, ConfigChangeEvent, ConfigItem, JsonValue, Metadata } from '../core/item.ts';
export { FEED_LIMIT } from './change-feed.ts';
export type { ConfigClientOptions, Sharing } from './client-options.ts';
export type { Clock } from './clock.ts';
export { ConfigClient, type ChangesOptions } from './config-client.ts';
export type { KnownItem, LastKnown, LastKnownStore, OverrideSource } from './durable.ts';
export type { StopFunction } from './listeners.ts';
export { NotReadyError, type StartOptions } from './readiness.ts';
export type { ChangeOf, ConfigChange, ConfigSchema, InputOf, KeyOf, StandardSchema, ValueOf } from './schema.ts';
export type { ClientStatus } from './status.ts';
export type { ConfigView, RestOf } from './view.ts';
export type { SetOptions, UpdateOptions, WriteOptions, WriteResult } from './writer.ts';
