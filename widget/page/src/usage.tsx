/** How much space is used, how much is reserved for uploads under way, and the quota. */

import type { Usage } from "./api.js";
import { size } from "./words.js";

export function UsageBar({ usage }: { usage: Usage }) {
  const { used, reserved, quota } = usage;
  const whole = quota ?? 0;
  const share = (bytes: number) => (whole === 0 ? 0 : Math.min(100, (bytes / whole) * 100));
  const words = [
    `${size(used)} used`,
    ...(reserved > 0 ? [`${size(reserved)} reserved`] : []),
    ...(quota === null ? [] : [`of ${size(quota)}`]),
  ].join(" · ").replace(" · of", " of");
  return (
    <div class="usage">
      {quota !== null && (
        <svg class="usage-bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
          <rect class="usage-used" width={share(used)} height="4" />
          <rect class="usage-reserved" x={share(used)} width={Math.min(share(reserved), 100 - share(used))} height="4" />
        </svg>
      )}
      <p>{words}</p>
    </div>
  );
}
