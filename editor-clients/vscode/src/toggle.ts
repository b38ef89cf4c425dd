import * as vscode from 'vscode';
import { change, setting } from './settings';

export function isEnabled(): boolean {
  return setting('enable', true);
}

export function isLanguageOff(languageId: string): boolean {
  return setting<string[]>('disabledLanguages', []).includes(languageId);
}

export async function toggle(): Promise<void> {
  await change('enable', !isEnabled());
  vscode.window.setStatusBarMessage(`Redraft is ${isEnabled() ? 'on' : 'off'}.`, 3_000);
}

/** Switch the active editor's language on or off. */
export async function toggleLanguage(): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (language === undefined) {
    void vscode.window.showInformationMessage('Redraft: open a file of the language first.');
    return;
  }
  const off = setting<string[]>('disabledLanguages', []);
  const on = off.includes(language);
  await change('disabledLanguages', on ? off.filter((item) => item !== language) : [...off, language]);
  vscode.window.setStatusBarMessage(`Redraft is ${on ? 'on' : 'off'} for ${language}.`, 3_000);
}
