const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

/** Runs `act` with the rights of an ordinary user: root may read and write everything. */
export async function asNobody(act: () => Promise<void>): Promise<void> {
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    await act();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

/** Within {@link asNobody}: with the rights from before. */
export function asOwner(act: () => void): void {
  if (isRoot) process.seteuid?.(0);
  try {
    act();
  } finally {
    if (isRoot) process.seteuid?.(NOBODY);
  }
}
