/**
 * `/docs`: the OpenAPI document as a page, by Scalar. A build of its own, so that nothing of it is loaded
 * elsewhere. It asks nobody but its own server, and is signed in there as the page is.
 * See docs/decisions/0096.
 */

import { createApiReference } from "@scalar/api-reference";
import "@scalar/api-reference/style.css";
import "./reference.css";

/** Examples of calls are in the three languages that Lading's own documents use. */
const LANGUAGES = ["shell", "python", "js"];
const ALL = [
  ..."c clojure csharp dart fsharp go http java js kotlin node objc ocaml php powershell python r ruby rust shell swift".split(" "),
];

createApiReference("#app", {
  url: "openapi.json",
  // Nothing from other servers: no fonts, no proxy, no client in the cloud, no counting.
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: "never",
  hiddenClients: Object.fromEntries(ALL.map((each) => [each, !LANGUAGES.includes(each)])),
  defaultHttpClient: { targetKey: "shell", clientKey: "curl" },
  // Whoever is signed in on the page is it here. Another credential can be chosen and typed.
  authentication: { preferredSecurityScheme: "cookie" },
  persistAuth: false,
  defaultOpenAllTags: false,
  documentDownloadType: "json",
});
