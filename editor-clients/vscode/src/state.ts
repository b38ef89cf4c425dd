/** What the user is told about the server, as a value; `view` turns it into the status bar's words. */

export type ServerState =
  | { kind: 'stopped' }
  | { kind: 'missing'; message: string }
  | { kind: 'starting' }
  | { kind: 'loading'; message: string; percentage: number }
  | { kind: 'ready'; message: string }
  | { kind: 'busy'; message: string }
  | { kind: 'paused'; message: string }
  | { kind: 'restarting'; message: string }
  | { kind: 'error'; message: string };

/** The parameters of the server's notification `redraft/status`. */
export interface StatusNotification {
  state: 'loading' | 'ready' | 'busy' | 'paused' | 'error';
  message: string;
  percentage?: number;
}

export function stateOf(status: StatusNotification): ServerState {
  return status.state === 'loading'
    ? { kind: 'loading', message: status.message, percentage: status.percentage ?? 0 }
    : { kind: status.state, message: status.message };
}

/** Whether something is wrong that the user has to mend. */
export function isProblem(state: ServerState): boolean {
  return state.kind === 'missing' || state.kind === 'error';
}

export interface View {
  text: string;
  /** Also what a screen reader says. */
  tooltip: string;
  severity: 'none' | 'warning' | 'error';
}

/** `leftAlone` says why Redraft does nothing in the active editor, where that is so. */
export function view(state: ServerState, leftAlone?: string): View {
  const tooltip = message(state);
  switch (state.kind) {
    case 'missing':
      return { text: '$(warning) Redraft: no server', tooltip, severity: 'warning' };
    case 'error':
      return { text: '$(error) Redraft', tooltip, severity: 'error' };
    case 'restarting':
      return { text: '$(sync~spin) Redraft: restarting', tooltip, severity: 'warning' };
    case 'starting':
      return { text: '$(loading~spin) Redraft: starting', tooltip, severity: 'none' };
    case 'loading':
      return { text: `$(loading~spin) Redraft ${state.percentage}%`, tooltip, severity: 'none' };
    case 'stopped':
      return { text: '$(circle-slash) Redraft: stopped', tooltip, severity: 'none' };
    case 'paused':
      return { text: '$(debug-pause) Redraft: off', tooltip, severity: 'none' };
    case 'ready':
    case 'busy':
      if (leftAlone !== undefined) {
        return { text: '$(circle-slash) Redraft', tooltip: leftAlone, severity: 'none' };
      }
      return {
        text: `${state.kind === 'busy' ? '$(sync~spin)' : '$(sparkle)'} Redraft`,
        tooltip,
        severity: 'none',
      };
  }
}

function message(state: ServerState): string {
  switch (state.kind) {
    case 'stopped':
      return 'The server is stopped.';
    case 'starting':
      return 'The server is starting.';
    case 'ready':
      return state.message || 'Ready.';
    case 'busy':
      return state.message || 'Working.';
    default:
      return state.message;
  }
}
