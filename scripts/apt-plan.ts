/** A package at a version, as apt names it on its command line. */
export type PackageVersion = `${string}=${string}`;

/**
 * What `apt-get --simulate install` would install, the missing dependencies included: lines such as
 * `Inst libogg0 [1.3.4] (1.3.5-3 Debian:12/stable [amd64])`.
 */
export function parseInstallPlan(output: string): readonly PackageVersion[] {
  return [...output.matchAll(/^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) /gm)].map(
    ([, name = '', version = '']): PackageVersion => `${name}=${version}`,
  );
}
