// Generates reference.md and the Bruno collection from proto/, and checks service-config.json against it.
//
//   node docs/api/generate.mjs           writes reference.md and bruno/
//   node docs/api/generate.mjs --check   writes nothing and exits with 1 if they are out of date, or if the service config is wrong
//
// It needs buf, on the PATH or in target/tools, and Node 20. It has no other dependencies.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "../..");
const CAPABILITIES = ["identity", "catalog", "queue", "booking", "wallet", "payment", "admin", "rehearsal", "common"];

// The demo's performance, concert and venue; the others are of earlier responses.
const VARIABLES = {
  address: "grpc://127.0.0.1:50051",
  access_token: "",
  queue_token: "",
  performance_id: "00de6000-0000-7000-8000-000000000031",
  concert_id: "00de6000-0000-7000-8000-000000000021",
  venue_id: "00de6000-0000-7000-8000-000000000011",
  user_id: "",
  reservation_id: "",
  payment_id: "",
  seat_id: "",
  endpoint_id: "",
};
// By the name of the field.
const EXAMPLES = {
  request_id: "{{$guid}}",
  queue_token: "{{queue_token}}",
  performance_id: "{{performance_id}}",
  concert_id: "{{concert_id}}",
  venue_id: "{{venue_id}}",
  user_id: "{{user_id}}",
  reservation_id: "{{reservation_id}}",
  payment_id: "{{payment_id}}",
  endpoint_id: "{{endpoint_id}}",
  event_id: "booking.reservation_confirmed/{{reservation_id}}",
  url: "https://hooks.example.com/encore",
  filter: { types: ["encore.events.v1.ReservationConfirmed"] },
  since: "2030-03-01T10:00:00Z",
  seat_ids: "{{seat_id}}",
  accessible_seat_ids: "{{seat_id}}",
  email: "fan@example.com",
  password: "correct horse",
  display_name: "Fan",
  title: "Northern Lights",
  artist: "The Paper Lanterns",
  starts_at: "2030-06-01T20:00:00Z",
  on_sale_opens_at: "2030-03-01T10:00:00Z",
  on_sale_closes_at: "2030-06-01T20:00:00Z",
  grade: "Gold",
  amount: { amount_minor: "24000", currency_code: "EUR" },
  price: { amount_minor: "12000", currency_code: "EUR" },
  best_available: { count: 2 },
  rate: { admissions: 200, period: "10s" },
  plan_json: "{}",
  reason: "House seats",
  message: "Doors open at 19:00.",
  lane: "presale",
};
// Fields that a method does not need, or that exclude another.
const SKIPPED = {
  HoldSeats: ["seat_ids", "general_admission"],
  ReleaseHold: ["seat_ids"],
  UpdateQueue: ["message"],
  CreatePerformance: ["message"],
  ReviseVenue: ["general_admission_areas"],
  FindUser: ["user_id"],
  ListReservations: ["user_id"],
  ListPayments: ["user_id"],
};

// The numbers of fields of descriptor.proto, of which the paths of comments are made.
const FILE_MESSAGE = 4;
const FILE_ENUM = 5;
const FILE_SERVICE = 6;
const MESSAGE_FIELD = 2;
const ENUM_VALUE = 2;
const SERVICE_METHOD = 2;

const files = readContract();
const messages = new Map(files.flatMap((file) => file.messages.map((message) => [message.fullName, message])));
const enums = new Map(files.flatMap((file) => file.enums.map((one) => [one.fullName, one])));
const methods = files.flatMap((file) => file.services.flatMap((service) => service.methods));

const outputs = new Map([["reference.md", reference()], ...collection()]);
const problems = checkServiceConfig();
if (process.argv.includes("--check")) {
  problems.push(...outdated());
} else {
  rmSync(join(HERE, "bruno"), { recursive: true, force: true });
  for (const [path, text] of outputs) {
    mkdirSync(dirname(join(HERE, path)), { recursive: true });
    writeFileSync(join(HERE, path), text);
  }
  console.log(`${outputs.size} files written for ${methods.length} methods`);
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function readContract() {
  const local = join(ROOT, "target/tools/node_modules/.bin/buf");
  const buf = existsSync(local) ? local : "buf";
  const image = execFileSync(buf, ["build", "--path", "proto/encore", "-o", "-#format=json"], {
    cwd: ROOT,
    maxBuffer: 64 * 1024 * 1024,
  });
  const own = JSON.parse(image.toString()).file.filter((file) => file.package.startsWith("encore."));
  const rank = (file) => (CAPABILITIES.indexOf(capability(file)) + 1 || CAPABILITIES.length) * 10;
  own.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  return own.map(readFile);
}

function capability(file) {
  return file.package.split(".")[1];
}

function readFile(file) {
  const comments = new Map();
  for (const { path, leadingComments } of file.sourceCodeInfo?.location ?? []) {
    if (leadingComments) comments.set((path ?? []).join("."), text(leadingComments));
  }
  const comment = (...path) => comments.get(path.join(".")) ?? "";
  const fullName = (name) => `.${file.package}.${name}`;
  return {
    package: file.package,
    name: file.name,
    services: (file.service ?? []).map((service, s) => ({
      name: service.name,
      comment: comment(FILE_SERVICE, s),
      methods: service.method.map((method, m) => ({
        name: method.name,
        service: service.name,
        package: file.package,
        path: `${file.package}.${service.name}/${method.name}`,
        comment: comment(FILE_SERVICE, s, SERVICE_METHOD, m),
        input: method.inputType,
        output: method.outputType,
        streams: method.serverStreaming === true,
        idempotency: method.options?.idempotencyLevel,
        callers: (method.options?.["[encore.common.v1.access]"]?.callers ?? []).map(callerName),
      })),
    })),
    messages: (file.messageType ?? []).map((message, i) => ({
      name: message.name,
      fullName: fullName(message.name),
      comment: comment(FILE_MESSAGE, i),
      fields: (message.field ?? []).map((field, f) => ({
        ...field,
        comment: comment(FILE_MESSAGE, i, MESSAGE_FIELD, f),
        oneof: field.proto3Optional || field.oneofIndex === undefined ? undefined : message.oneofDecl[field.oneofIndex].name,
      })),
    })),
    enums: (file.enumType ?? []).map((one, i) => ({
      name: one.name,
      fullName: fullName(one.name),
      comment: comment(FILE_ENUM, i),
      values: one.value.map((value, v) => ({ ...value, comment: comment(FILE_ENUM, i, ENUM_VALUE, v) })),
    })),
  };
}

/** `CALLER_KIND_BOX_OFFICE` as `box office`. */
function callerName(kind) {
  return kind.replace("CALLER_KIND_", "").replaceAll("_", " ").toLowerCase();
}

/** A comment without the space after each `//`. */
function text(comment) {
  return comment.replace(/^ /gm, "").trim();
}

// The reference.

function reference() {
  const out = [
    "# API reference",
    "",
    "Generated from `proto/` by `node docs/api/generate.mjs`; do not edit. [clients.md](../clients.md) explains how to call the API.",
    "",
    "| service | methods |",
    "|---|---|",
  ];
  for (const file of files) {
    for (const service of file.services) {
      const links = service.methods.map((method) => `[${method.name}](#${anchor(method.path)})`);
      out.push(`| [${service.name}](#${anchor(`${file.package}.${service.name}`)}) | ${links.join(", ")} |`);
    }
  }
  for (const file of files) {
    out.push("", `## ${file.name}`);
    for (const service of file.services) {
      out.push("", heading(3, service.name, `${file.package}.${service.name}`), "", service.comment);
      for (const method of service.methods) out.push("", ...describeMethod(method));
    }
    for (const message of file.messages) out.push("", ...describeMessage(message));
    for (const one of file.enums) out.push("", ...describeEnum(one));
  }
  return `${out.join("\n")}\n`;
}

function heading(level, title, name) {
  return `<a id="${anchor(name)}"></a>\n${"#".repeat(level)} ${title}`;
}

function anchor(name) {
  return name.replace(/^\./, "").replace(/[^A-Za-z0-9]/g, "-").toLowerCase();
}

function describeMethod(method) {
  const level = { IDEMPOTENT: "idempotent", NO_SIDE_EFFECTS: "no side effects" }[method.idempotency] ?? "not idempotent";
  return [
    heading(4, method.name, method.path),
    "",
    `\`${method.path}\` (${linkTo(method.input)}) returns ${method.streams ? "a stream of " : ""}${linkTo(method.output)}`,
    "",
    `Callers: ${method.callers.join(", ")}. Repeats: ${level}.`,
    "",
    method.comment,
  ];
}

function describeMessage(message) {
  const out = [heading(4, message.name, message.fullName), "", message.comment];
  if (message.fields.length === 0) return out;
  out.push("", "| # | field | type | |", "|---|---|---|---|");
  for (const field of message.fields) {
    const oneof = field.oneof ? ` (one of \`${field.oneof}\`)` : "";
    out.push(`| ${field.number} | \`${field.name}\` | ${typeOf(field)}${oneof} | ${cell(field.comment)} |`);
  }
  return out;
}

function describeEnum(one) {
  const out = [heading(4, one.name, one.fullName), "", one.comment, "", "| # | value | |", "|---|---|---|"];
  for (const value of one.values) out.push(`| ${value.number ?? 0} | \`${value.name}\` | ${cell(value.comment)} |`);
  return out;
}

function cell(comment) {
  return comment.replace(/\n\n/g, "<br><br>").replace(/\n/g, " ").replace(/\|/g, "\\|");
}

function typeOf(field) {
  const base = field.typeName ? linkTo(field.typeName) : field.type.replace("TYPE_", "").toLowerCase();
  if (field.label === "LABEL_REPEATED") return `repeated ${base}`;
  return field.proto3Optional ? `optional ${base}` : base;
}

function linkTo(typeName) {
  const name = typeName.slice(1);
  if (!messages.has(typeName) && !enums.has(typeName)) return `\`${name}\``;
  return `[${name.split(".").at(-1)}](#${anchor(typeName)})`;
}

// The collection for Bruno: a folder per service, a request per method.

function collection() {
  const bruno = { version: "1", name: "Encore", type: "collection", ignore: [], protobuf: { importPaths: [{ path: "../../../proto" }], protoFiles: [] } };
  const out = new Map();
  const needsToken = (method) => !method.callers.includes("anybody");
  for (const file of files) {
    for (const service of file.services) {
      bruno.protobuf.protoFiles.push({ path: `../../../proto/${file.name}`, type: "file" });
      const folder = `bruno/${service.name}`;
      out.set(`${folder}/folder.bru`, `meta {\n  name: ${service.name}\n}\n`);
      service.methods.forEach((method, at) => {
        out.set(`${folder}/${method.name}.bru`, request(file, method, at + 1, needsToken(method)));
      });
    }
  }
  out.set("bruno/bruno.json", `${JSON.stringify(bruno, null, 2)}\n`);
  const lines = Object.entries(VARIABLES).map(([name, value]) => `  ${name}: ${value}\n`);
  out.set("bruno/environments/local.bru", `vars {\n${lines.join("")}}\n`);
  return out;
}

function request(file, method, sequence, needsToken) {
  const metadata = needsToken ? ["  authorization: Bearer {{access_token}}", "  queue-token: {{queue_token}}"] : [];
  const body = JSON.stringify(example(method.input, SKIPPED[method.name] ?? []), null, 2).replace(/^/gm, "    ");
  return [
    "meta {",
    `  name: ${method.name}`,
    "  type: grpc",
    `  seq: ${sequence}`,
    "}",
    "",
    "grpc {",
    "  url: {{address}}",
    `  method: /${method.path}`,
    "  body: grpc",
    "  auth: none",
    `  methodType: ${method.streams ? "server-streaming" : "unary"}`,
    `  protoPath: ../../../proto/${file.name}`,
    "}",
    "",
    ...(metadata.length > 0 ? ["metadata {", ...metadata, "}", ""] : []),
    "body:grpc {",
    "  name: request",
    "  content: '''",
    body,
    "  '''",
    "}",
    "",
    "docs {",
    method.comment.replace(/^(?=.)/gm, "  "),
    "}",
    "",
  ].join("\n");
}

/** A request with the fields that have an example, and those alone. */
function example(typeName, skipped) {
  const value = {};
  for (const field of messages.get(typeName)?.fields ?? []) {
    if (skipped.includes(field.name)) continue;
    const nested = field.type === "TYPE_MESSAGE" && messages.has(field.typeName);
    const one = EXAMPLES[field.name] ?? (nested ? example(field.typeName, skipped) : undefined);
    if (one === undefined || (typeof one === "object" && Object.keys(one).length === 0)) continue;
    value[field.name] = field.label === "LABEL_REPEATED" ? [one] : one;
  }
  return value;
}

// Checks.

function checkServiceConfig() {
  const found = [];
  const config = JSON.parse(readFileSync(join(HERE, "service-config.json"), "utf8"));
  const known = new Map(methods.map((method) => [method.path, method]));
  const entries = new Map();
  for (const entry of config.methodConfig) {
    for (const { service, method } of entry.name) {
      if (service === undefined) continue;
      const path = `${service}/${method}`;
      if (!known.has(path)) found.push(`service-config.json: ${path} is not a method of the contract`);
      if (entries.has(path)) found.push(`service-config.json: ${path} is listed twice`);
      entries.set(path, entry);
    }
  }
  for (const method of methods) {
    const entry = entries.get(method.path);
    const repeatable = method.idempotency !== undefined;
    if (repeatable && entry === undefined) found.push(`service-config.json: ${method.path} is missing`);
    if (entry === undefined) continue;
    if (!repeatable && entry.retryPolicy) found.push(`service-config.json: ${method.path} is retried but not idempotent`);
    if (repeatable && !entry.retryPolicy) found.push(`service-config.json: ${method.path} is idempotent but not retried`);
    if (method.streams && entry.timeout) found.push(`service-config.json: ${method.path} is a stream and must have no timeout`);
    if (!method.streams && !entry.timeout) found.push(`service-config.json: ${method.path} must have a timeout`);
  }
  return found;
}

function outdated() {
  const found = [];
  for (const [path, text] of outputs) {
    const file = join(HERE, path);
    if (!existsSync(file) || readFileSync(file, "utf8") !== text) found.push(`docs/api/${path} is out of date`);
  }
  const bruno = join(HERE, "bruno");
  for (const entry of existsSync(bruno) ? readdirSync(bruno, { recursive: true, withFileTypes: true }) : []) {
    const path = join(entry.parentPath ?? entry.path, entry.name).slice(HERE.length + 1);
    if (entry.isFile() && !outputs.has(path)) found.push(`docs/api/${path} is of no method`);
  }
  return found;
}
