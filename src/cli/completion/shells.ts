import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What can follow a command's name. */
interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly Option[];
  readonly operand: 'key' | 'file' | 'words' | 'none';
  readonly words: readonly string[];
}

/** A script that completes the commands of `program`, their options, and keys by asking the server. */
export function completionScript(shell: Shell, program: Command): string {
  const commands = program.commands
    .filter((command) => !('_hidden' in command && command._hidden))
    .map((command) => completedOf(command, program));
  switch (shell) {
    case 'bash':
      return bashScript(commands);
    case 'zsh':
      return zshScript(commands);
    case 'fish':
      return fishScript(commands);
  }
}

function completedOf(command: Command, program: Command): Completed {
  const [operand] = command.registeredArguments;
  const name = operand?.name();
  const words = operand?.argChoices ?? [];
  const kind = words.length > 0 ? 'words' : name === 'file' ? 'file' : name === undefined ? 'none' : 'key';
  return {
    name: command.name(),
    summary: command.summary(),
    options: [...command.options, ...program.options.filter((option) => option.long === '--url')],
    operand: kind,
    words,
  };
}

const flagsOf = (option: Option): readonly string[] => [option.short, option.long].filter((flag) => flag !== undefined && flag !== null);
const flagWords = (options: readonly Option[]): string => options.flatMap(flagsOf).concat('--help').join(' ');

function bashScript(commands: readonly Completed[]): string {
  const cases = commands.map(({ name, options, operand, words }) => {
    const values = options
      .filter((option) => option.required || option.optional)
      .map((option) => `        ${flagsOf(option).join('|')}) ${bashValue(option)}; return ;;`)
      .join('\n');
    const operands = {
      key: '_attune_keys',
      file: 'COMPREPLY=($(compgen -f -- "$word"))',
      words: `COMPREPLY=($(compgen -W "${words.join(' ')}" -- "$word"))`,
      none: ':',
    }[operand];
    const flags = flagWords(options);
    return `    ${name})
      case "$before" in
${values === '' ? '        "") ;;' : values}
      esac
      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "${flags}" -- "$word")); else ${operands}; fi ;;`;
  });
  return `# bash completion for attune: source <(attune completion bash)
_attune_keys() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(attune complete-keys -- "$word" 2>/dev/null)" -- "$word"))
  [[ \${COMPREPLY[0]} == */ ]] && compopt -o nospace
}
_attune() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]}
  COMPREPLY=()
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} help --url --help --version" -- "$word"))
    return
  fi
  case "$command" in
${cases.join('\n')}
  esac
}
complete -o default -F _attune attune
`;
}

function bashValue(option: Option): string {
  if (option.argChoices) return `COMPREPLY=($(compgen -W "${option.argChoices.join(' ')}" -- "$word"))`;
  return takesKey(option) ? '_attune_keys' : 'COMPREPLY=($(compgen -f -- "$word"))';
}

const takesKey = (option: Option): boolean => option.long === '--prefix' || option.long === '--as-document';

function zshScript(commands: readonly Completed[]): string {
  const cases = commands.map(({ name, options, operand, words }) => {
    const specs = options.flatMap((option) =>
      flagsOf(option).map((flag) => quote(`${flag}[${zshText(option.description)}]${zshValue(option)}`)),
    );
    const operands = { key: "'*:key:_attune_keys'", file: "'*:file:_files'", words: quote(`*:word:(${words.join(' ')})`), none: '' }[
      operand
    ];
    return `    ${name}) _arguments ${[...specs, operands].filter((spec) => spec !== '').join(' ')} ;;`;
  });
  return `#compdef attune
# zsh completion for attune: source <(attune completion zsh)
_attune_keys() {
  local -a keys
  keys=(\${(f)"$(attune complete-keys -- "$PREFIX" 2>/dev/null)"})
  compadd -Q -S '' -- $keys
}
_attune() {
  local -a commands
  commands=(${commands.map(({ name, summary }) => quote(`${name}:${summary}`)).join(' ')})
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  words=("\${(@)words[2,-1]}")
  (( CURRENT-- ))
  case "$command" in
${cases.join('\n')}
  esac
}
compdef _attune attune
`;
}

function zshValue(option: Option): string {
  if (!option.required && !option.optional) return '';
  if (option.argChoices) return `:value:(${option.argChoices.join(' ')})`;
  return takesKey(option) ? ':key:_attune_keys' : ':value:_files';
}

const zshText = (text: string): string => text.replaceAll(/[[\]:]/g, '\\$&');

function fishScript(commands: readonly Completed[]): string {
  const lines = commands.flatMap(({ name, summary, options, operand, words }) => {
    const seen = `-n ${quote(`__fish_seen_subcommand_from ${name}`)}`;
    return [
      `complete -c attune -f -n __fish_use_subcommand -a ${name} -d ${quote(summary)}`,
      ...options.map((option) => `complete -c attune ${seen} ${fishFlags(option)}${fishValue(option)} -d ${quote(option.description)}`),
      ...{
        key: [`complete -c attune -f ${seen} -a ${quote('(__attune_keys)')}`],
        file: [`complete -c attune -F ${seen}`],
        words: [`complete -c attune -f ${seen} -a ${quote(words.join(' '))}`],
        none: [],
      }[operand],
    ];
  });
  return `# fish completion for attune: attune completion fish > ~/.config/fish/completions/attune.fish
function __attune_keys
  attune complete-keys -- (commandline -ct) 2>/dev/null
end
${lines.join('\n')}
`;
}

const fishFlags = (option: Option): string =>
  flagsOf(option)
    .map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
    .join(' ');

function fishValue(option: Option): string {
  if (!option.required && !option.optional) return '';
  if (option.argChoices) return ` -x -a ${quote(option.argChoices.join(' '))}`;
  return takesKey(option) ? ` -x -a ${quote('(__attune_keys)')}` : ' -r';
}

/** For any of the shells: in single quotes. fish would read a backslash there, and no text of ours has one beside zsh's. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
