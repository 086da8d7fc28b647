import { render } from "preact";
import "@uppy/core/css/style.min.css";
import "@uppy/dashboard/css/style.min.css";
import "./style.css";
import { App } from "./app.js";

const place = document.getElementById("app");
if (place) render(<App />, place);
