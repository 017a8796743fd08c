/**
 * Stack traces of Java, Python, Go, Node, .NET and Ruby as one state machine: which line may follow which. Blanks at the
 * start of lines may be missing, because file receivers trim lines unless told otherwise.
 */

export type TraceState = keyof typeof RULES;
type Rule = readonly [line: RegExp, to: TraceState];

/** `java.lang.IllegalStateException: x`, `TypeError [ERR_X]: x`, `System.Exception`, `Exception in thread "main" …` */
const TYPE = String.raw`(?:[\w$]+[./:]{1,2})*[\w$]*(?:Exception|Error|Throwable|Fault|Interrupt|Exit|StopIteration|Warning)\d*`;
const EXCEPTION = new RegExp(
  String.raw`^\s*(?:Exception in thread "[^"]*" |Unhandled exception\. |Uncaught (?:exception:? )?|\[?)${TYPE}(?: \[\w+\])?(?:: |:$|$| ---> | in thread|<)`,
  'i',
);
/** A line that an exception may follow: an error in the log, or the name of one somewhere in it. */
const HEAD =
  /\b(?:ERROR|FATAL|SEVERE|CRITICAL|ERR|Unhandled|Uncaught|panic)\b|(?:Exception|Error|Throwable)\b|\[(?:error|fatal|crit)\]|\b(?:error|fatal|fail|crit):/;

const AT = /^\s*at \S/;
const MORE = /^\s*\.\.\. (?:\d+ (?:more|common frames omitted|lines matching)|suppressed \d+ lines)/;
const CAUSED = /^\s*(?:Caused by|Suppressed|Wrapped by): /;
const REFERENCE = /^\s*\[CIRCULAR REFERENCE:|^\s*-{1,2} (?:locked|waiting|parking)/;
const ARROW = /^\s*---> /;
const END_OF = /^\s*--- End of (?:inner exception )?stack trace/;
/** `  code: 'ENOENT',`, `  [cause]: Error: x` behind a trace of Node that ends in a brace, then the closing ones. */
const AT_BRACE = /^\s*at .*\{$/;
const PROPERTY = /^\s*\[?[\w$'"-]+\]?: ./;
const CLOSING_MORE = /^\s*[}\]]+,$/;
const CLOSING = /^\s*[}\]]+$/;
const NODE_VERSION = /^Node\.js v\d/;
/** What some exceptions have between message and frames. */
const DETAIL = /^(?:File name: |Require stack:$|- \/)/;
const NODE_FILE = /^(?:file:\/\/|node:)?[\w./@-]{1,512}\.[cm]?[jt]sx?:\d+$|^node:internal\/\S+:\d+$/;
const CARET = /^\s*[\^~][\s^~]*$/;
const ANY = /^/;
const BLANK = /^\s*$/;
const INDENTED = /^(?:\t| {2,})\S/;

const TRACEBACK = /^\s*(?:Exception in thread [\w-]+:\s*)?Traceback \(most recent call last\):/;
const PY_FILE = /^\s*File "[^"]*", line \d+/;
/** Code of several lines whose indentation was trimmed. */
const PY_ARGUMENT = /^[^:]*[,(]$|^[)\]}]+,?$/;
const PY_REPEATED = /^\s*\[Previous line repeated \d+ more times?\]/;
const PY_EXCEPTION = new RegExp(
  `^${TYPE}(?::|$)|^(?:\\w+\\.)+[A-Z]\\w*(?:: |$)|^\\w*(?:Group|Abort|Timeout|Disconnect)\\w*(?:: |$)`,
);
const PY_CHAIN =
  /^\s*(?:During handling of the above exception, another exception occurred|The above exception was the direct cause of the following exception):$/;
const PY_MORE = /^\(Background on this error at: |^\[(?:SQL|parameters): /;
const PY_GROUP = /^\s*\+ Exception Group Traceback \(most recent call last\):/;
const PY_GROUP_LINE = /^\s*(?:[|] |[|]$|\+-)/;

const GO_PANIC = /^(?:panic: |fatal error: |runtime: |unexpected fault address|http: panic serving |SIG[A-Z]+: )/;
const GO_NESTED = /^\s*panic: |^\[signal |^PC=0x|^runtime stack:|^\t?\[recovered\]|^goroutine running on/;
const GOROUTINE = /^goroutine \d+(?: gp=\S+ m=\S+(?: mp=\S+)?)? \[[^\]]*\]:/;
const GO_FUNCTION = /^[\w./*()[\]{}$·,@~ -]{1,1024}\(.*\)(?: fp=| in goroutine|$)|^created by \S/;
const GO_FILE = /^\s*\S.*\.(?:go|s|c|cgo\d\.go):\d+(?: \+0x[0-9a-f]+)?(?: fp=.*)?$/;
const GO_OTHER =
  /^\.\.\.(?:additional frames elided|\d+ frames elided)|^\[originating from goroutine|^exit status \d+$|^(?:r\w{1,2}|[re]?flags|[cefgs]s|lr|sp|pc|fault)\s+0x[0-9a-f]+$/;

const RUBY_PLACE = /^\s*(?:\d+: )?(?:from )?(?:[\w./@~<>()+-]| ){1,512}:\d+:in [`'"]/;
const RUBY_UNCAUGHT = /^[\w./@~-]{1,512}:\d+:in [`'"].{1,512}$/;
const RUBY_HEAD = /^(?:[A-Z]\w*::)*[A-Z]\w*(?:Error|Exception|NotFound|Invalid|Denied)? \(.*\):?$/;
const RUBY_LEVELS = /^\s*(?:\.{3} \d+ levels\.{3}|Did you mean\?|\^+$)/;

/** First match counts. A state without a match for a line ends the trace before it. */
const RULES = {
  start: [
    [TRACEBACK, 'pyTrace'],
    [PY_GROUP, 'pyGroup'],
    [GO_PANIC, 'goPanic'],
    [GOROUTINE, 'goFrames'],
    [NODE_FILE, 'nodeFile'],
    [RUBY_UNCAUGHT, 'ruby'],
    [RUBY_HEAD, 'rubyHead'],
    [EXCEPTION, 'exception'],
    [HEAD, 'head'],
  ],
  /** An ordinary line that may have a trace behind it. */
  head: [
    [TRACEBACK, 'pyTrace'],
    [PY_GROUP, 'pyGroup'],
    [GOROUTINE, 'goFrames'],
    [GO_PANIC, 'goPanic'],
    [AT, 'frames'],
    [CAUSED, 'exception'],
    [ARROW, 'exception'],
    [RUBY_PLACE, 'ruby'],
    [RUBY_HEAD, 'rubyHead'],
    [EXCEPTION, 'exception'],
  ],
  /** The type and message of an exception. */
  exception: [
    [AT_BRACE, 'nodeProperties'],
    [AT, 'frames'],
    [MORE, 'frames'],
    [CAUSED, 'exception'],
    [ARROW, 'exception'],
    [END_OF, 'frames'],
    [TRACEBACK, 'pyTrace'],
    [RUBY_PLACE, 'ruby'],
    [DETAIL, 'exception'],
    [INDENTED, 'exception'],
  ],
  /** `at …`: Java, Node and .NET. */
  frames: [
    [AT_BRACE, 'nodeProperties'],
    [AT, 'frames'],
    [MORE, 'frames'],
    [CAUSED, 'exception'],
    [ARROW, 'exception'],
    [END_OF, 'frames'],
    [REFERENCE, 'frames'],
    [NODE_VERSION, 'frames'],
    [BLANK, 'framesBlank'],
  ],
  nodeProperties: [
    [AT_BRACE, 'nodeProperties'],
    [AT, 'nodeProperties'],
    [MORE, 'nodeProperties'],
    [CLOSING_MORE, 'nodeProperties'],
    [CLOSING, 'nodeClosed'],
    [PROPERTY, 'nodeProperties'],
    [INDENTED, 'nodeProperties'],
  ],
  nodeClosed: [
    [CLOSING_MORE, 'nodeProperties'],
    [CLOSING, 'nodeClosed'],
    [NODE_VERSION, 'frames'],
    [BLANK, 'framesBlank'],
  ],
  framesBlank: [
    [NODE_VERSION, 'frames'],
    [CAUSED, 'exception'],
    [END_OF, 'frames'],
    [AT, 'frames'],
  ],
  /** What Node prints of an uncaught error: file, code, mark, error. */
  nodeFile: [[ANY, 'nodeCode']],
  nodeCode: [[CARET, 'nodeMark']],
  nodeMark: [
    [BLANK, 'nodeMark'],
    [EXCEPTION, 'exception'],
    [/^\[?[A-Za-z]/, 'exception'],
  ],
  pyTrace: [
    [PY_FILE, 'pyCode'],
    [/^\s*\d+: from /, 'ruby'],
    [PY_EXCEPTION, 'pyEnd'],
  ],
  pyCode: [
    [PY_FILE, 'pyCode'],
    [INDENTED, 'pyMark'],
    [PY_EXCEPTION, 'pyEnd'],
    [ANY, 'pyMark'],
  ],
  pyMark: [
    [PY_FILE, 'pyCode'],
    [CARET, 'pyMark'],
    [PY_REPEATED, 'pyMark'],
    [INDENTED, 'pyMark'],
    [PY_EXCEPTION, 'pyEnd'],
    [PY_ARGUMENT, 'pyMark'],
  ],
  pyEnd: [
    [BLANK, 'pyEnd'],
    [PY_CHAIN, 'pyChain'],
    [TRACEBACK, 'pyTrace'],
    [INDENTED, 'pyEnd'],
    [PY_MORE, 'pyEnd'],
  ],
  pyChain: [
    [BLANK, 'pyChain'],
    [TRACEBACK, 'pyTrace'],
    [PY_GROUP, 'pyGroup'],
  ],
  pyGroup: [[PY_GROUP_LINE, 'pyGroup']],
  goPanic: [
    [GOROUTINE, 'goFrames'],
    [GO_NESTED, 'goPanic'],
    [GO_FUNCTION, 'goFrames'],
    [INDENTED, 'goPanic'],
    [BLANK, 'goPanic'],
  ],
  goFrames: [
    [GOROUTINE, 'goFrames'],
    [GO_FILE, 'goFrames'],
    [GO_FUNCTION, 'goFrames'],
    [GO_NESTED, 'goFrames'],
    [GO_OTHER, 'goFrames'],
    [BLANK, 'goFrames'],
  ],
  ruby: [
    [RUBY_PLACE, 'ruby'],
    [RUBY_LEVELS, 'ruby'],
    [/^\s*[\w./@~-]{1,512}:\d+:in /, 'ruby'],
  ],
  rubyHead: [
    [BLANK, 'rubyHead'],
    [RUBY_PLACE, 'ruby'],
    [RUBY_LEVELS, 'rubyHead'],
  ],
} as const satisfies Record<string, readonly (readonly [RegExp, string])[]>;

/** So much of a line says what it is; the rest may be long. */
const PROBE = 2048;

/** The state after the line, or undefined when the line does not belong to what was before it. */
export function follow(state: TraceState, line: string): TraceState | undefined {
  const probe = line.length > PROBE ? line.slice(0, PROBE) : line;
  for (const [pattern, to] of RULES[state] as readonly Rule[]) if (pattern.test(probe)) return to;
  return undefined;
}
