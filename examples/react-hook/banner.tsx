import type { ShopConfig } from './shop-config.ts';
import { useConfig, useConfigState } from './use-config.ts';

export function Banner({ config }: { readonly config: ShopConfig }) {
  const { text, color } = useConfig(config, 'shop/banner');
  const state = useConfigState(config);
  return (
    <p style={{ color }} data-state={state}>
      {text}
    </p>
  );
}
