// What the page beside @tus/server uploads with; the bench bundles it for the browser.
export { default as Uppy } from '@uppy/core'
export { default as Tus } from '@uppy/tus'
