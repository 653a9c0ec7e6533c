export { shareTabs, type ShareTabsOptions } from './share-tabs.ts';
