/** How Vite imports a worker. */
declare module "*?worker" {
  const constructor: new () => Worker;
  export default constructor;
}
