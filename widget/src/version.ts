/** The version of this package, which is also told to servers. */
export const VERSION = "0.1.0";

export const CLIENT = `lading-js/${VERSION}`;
