/**
 * Sizes in decimal units, as the command line and the documentation write them.
 *
 * The build replaces Uppy's own package for this with this module, so that Uppy writes sizes alike.
 */

const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"];

export function prettierBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  // A value that would round to 1000.0 is 1.0 of the next unit.
  while (value >= 999.95 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  if (bytes === 1) return "1 byte";
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
