import * as vscode from 'vscode';

/** Languages whose syntax the server can check; the same list stands in `activationEvents`. */
export const LANGUAGES: readonly string[] = [
  'python',
  'javascript',
  'javascriptreact',
  'typescript',
  'typescriptreact',
  'go',
  'rust',
  'java',
  'c',
  'cpp',
];

/**
 * Where documents may come from: files, unsaved ones, and files of virtual workspaces. Not `git:`, `output:`
 * and the like, which only show text.
 */
const SCHEMES: readonly string[] = ['file', 'untitled', 'vscode-vfs'];

export const SELECTOR = SCHEMES.flatMap((scheme) => LANGUAGES.map((language) => ({ scheme, language })));

export function isServed(document: vscode.TextDocument): boolean {
  return LANGUAGES.includes(document.languageId) && SCHEMES.includes(document.uri.scheme);
}
