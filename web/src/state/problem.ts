// Turns a problem document into messages beside form fields, and one line for everything else.
import type { FieldError, Problem } from '../api/types';

export interface FormErrors {
  /** By form field. */
  fields: Record<string, string>;
  /** What belongs to no field, or null. */
  general: string | null;
}

export const kNoErrors: FormErrors = { fields: {}, general: null };

/** "jobs[0].width" and "/jobs/0/width" both name the field width. */
export function fieldName(path: string): string {
  return path.split(/[./[\]]+/).filter((part) => part !== '').at(-1) ?? path;
}

function sentence(error: FieldError): string {
  const { allowed } = error;
  if (!allowed || error.message.includes(allowed)) return error.message;
  return `${error.message.replace(/[.\s]+$/, '')}. Allowed: ${allowed}`;
}

export function formErrors(problem: Partial<Problem>, known: readonly string[], fallback: string): FormErrors {
  const fields: Record<string, string> = {};
  const rest: string[] = [];
  for (const error of problem.errors ?? []) {
    const field = fieldName(error.field);
    if (known.includes(field)) fields[field] ??= sentence(error);
    else rest.push(sentence(error));
  }
  if (rest.length === 0 && Object.keys(fields).length === 0) rest.push(problem.detail || problem.title || fallback);
  return { fields, general: rest.length > 0 ? rest.join(' ') : null };
}
