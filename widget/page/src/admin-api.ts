/** What admins ask the server. */

import { call, type Manifest, type Usage } from "./api.js";

export interface Overview {
  at: string;
  version: string;
  connections: { http: number; websocket: number; streams: number };
  requests: number;
  traffic: { received: number; sent: number; stored: number };
  uploads: { begun: number; finished: number; aborted: number; expired: number };
  outbox: Backlog | null;
  webhooks: Backlog | null;
  webhooks_disabled: number;
  janitor: { sweeps: number; expired: number; emptied: number; purged: number; failed: number };
  free_space: Record<string, number>;
}

export interface Backlog {
  left: number;
  oldest_seconds: number;
}

export interface UserEntry extends Usage {
  /** Absent for a user of another way to sign in. */
  account?: { scopes: string[]; disabled: boolean; created_at: string };
}

export interface Grant {
  id: string;
  action: string;
  user_id: string;
  minter: string;
  created_at: string;
  expires_at: string;
  file_id?: string;
  directory?: string | null;
  uses?: number;
  used?: number;
}

interface Page {
  cursor: string | null;
}

export interface NewUser {
  name: string;
  password: string;
  quota: number | null;
}

const after = (cursor: string | null): [string, string][] => [["limit", "50"], ...(cursor === null ? [] : [["cursor", cursor] as [string, string]])];
const user = (id: string) => `v1/users/${encodeURIComponent(id)}`;

export const getOverview = () => call<Overview>("v1/overview");

export const listUsers = (cursor: string | null) => call<Page & { users: UserEntry[] }>("v1/users", { query: after(cursor) });

export const listAllUploads = () => call<{ uploads: Manifest[] }>("v1/overview/uploads");

export const listAllGrants = (cursor: string | null) =>
  call<Page & { grants: Grant[] }>("v1/overview/grants", { query: after(cursor) });

export const addUser = (body: NewUser) => call<UserEntry>("v1/users", { method: "POST", body });

export const disableUser = (id: string, disabled: boolean) =>
  call<UserEntry>(user(id), { method: "PATCH", body: { disabled } });

export const deleteUser = (id: string) => call<unknown>(user(id), { method: "DELETE" });

export const setQuota = (id: string, quota: number | null) =>
  call<Usage>(`${user(id)}/quota`, { method: "PUT", body: { quota } });

export const revokeGrant = (id: string) => call<void>(`v1/grants/${id}`, { method: "DELETE" });

/** The token of an invitation for so many people, good for so many days. */
export const invite = (uses: number, days: number) =>
  call<{ token: string }>("v1/grants", { method: "POST", body: { action: "signup", uses, expires_in: days * 86_400 } });
