/** For each shell what makes it ask `bkp complete` at a Tab. Where that offers nothing and ends with 3, files are offered. */
export const SCRIPTS = {
  bash: `# bash completion of bkp: source <(bkp completion bash)
_bkp() {
  local line IFS=$'\\n' words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=()
  while read -r line; do COMPREPLY+=("\${line%%$'\\t'*}"); done < <(bkp complete -- "\${words[@]}" 2>/dev/null)
}
complete -o default -F _bkp bkp
`,
  zsh: `#compdef bkp
# zsh completion of bkp: source <(bkp completion zsh), or as _bkp in a directory of $fpath
_bkp() {
  local -a lines words_only texts
  local line
  lines=("\${(@f)$(bkp complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    [[ -n $line ]] || continue
    words_only+=("\${line%%$'\\t'*}")
    texts+=("\${line/$'\\t'/  -- }")
  done
  if (( \${#words_only} )); then compadd -d texts -a words_only; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u; }
compdef _bkp bkp
`,
  fish: `# fish completion of bkp: bkp completion fish | source
function __bkp_complete
    set -l words (commandline -opc) (commandline -ct)
    bkp complete -- $words[2..-1] 2>/dev/null
end
complete -c bkp -f -a '(__bkp_complete)'
complete -c bkp -n 'test (count (__bkp_complete)) -eq 0' -F
`,
} as const;

export type Shell = keyof typeof SCRIPTS;
