export { createTestConfig, type TestConfig, type TestConfigOptions } from './test-config.ts';
