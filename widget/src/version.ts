/** The version of this package, which it also sends to servers. */
export const VERSION = "0.1.0";

export const CLIENT = `lading-js/${VERSION}`;
