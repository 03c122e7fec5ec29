/** What differs between the job scripts of the batch systems. */
export interface JobScriptParts {
  /** The lines from `#!` to the last directive, each with its line break. */
  readonly head: string;
  /** A template for what stands before the server's command on its line. Default: nothing. */
  readonly launcher?: string;
  /** Shell lines that look at `$status`, the exit code of the server, before the script ends with it. */
  readonly beforeExit?: string;
}

/**
 * The template of a job script: directives, variables, prologue, server, epilogue. The shell
 * outlives the SIGTERM that all of a job gets when it is cancelled, so that the epilogue runs.
 */
export function jobScript({ head, launcher = '', beforeExit = '' }: JobScriptParts): string {
  return `${head}
{{#exports}}
{{{exports}}}

{{/exports}}
# Called at the end of this script.
server() {
  ${launcher}{{cmd}}
}

{{#prologue}}
set -e
{{{prologue}}}
set +e

{{/prologue}}
# The shell outlives the server's SIGTERM, so that the epilogue runs.
trap : TERM
server
status=$?
{{#epilogue}}
{{{epilogue}}}
{{/epilogue}}
${beforeExit}exit "$status"
`;
}
