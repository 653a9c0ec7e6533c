import { createRoot, type Container } from 'react-dom/client';
import { Banner } from './banner.tsx';
import { createShopConfig } from './shop-config.ts';

/** Shows the banner in `element`; the function it returns takes it away again. */
export function mount(element: Container, url: string): () => Promise<void> {
  const config = createShopConfig(url);
  // What it rejects with is in the status too, and it goes on trying.
  config.start().catch(() => undefined);
  const root = createRoot(element);
  root.render(<Banner config={config} />);
  return () => {
    root.unmount();
    return config.close();
  };
}
