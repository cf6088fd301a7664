// What React Native's Hermes has, and nothing else: no `crypto`, no streams, no `AbortSignal.timeout`, no Node. Its
// `TextDecoder`, which Effect needs, is a polyfill where Hermes is old.
import { readFileSync } from "node:fs"
import { createContext, Script } from "node:vm"

const [file, url] = process.argv.slice(2)

/** React Native's fetch is built on XMLHttpRequest, so an answer has a text and no body to stream. */
const reactNativeFetch = async (...args) => {
  const answer = await fetch(...args)
  const text = await answer.text()
  return {
    ok: answer.ok,
    status: answer.status,
    statusText: answer.statusText,
    headers: answer.headers,
    url: answer.url,
    type: answer.type,
    redirected: answer.redirected,
    text: async () => text,
    json: async () => JSON.parse(text)
  }
}

class BasicAbortSignal extends EventTarget {
  aborted = false
}
class BasicAbortController {
  signal = new BasicAbortSignal()
  abort() {
    this.signal.aborted = true
    this.signal.dispatchEvent(new Event("abort"))
  }
}

const globals = {
  AbortController: BasicAbortController,
  AbortSignal: BasicAbortSignal,
  clearInterval,
  clearTimeout,
  console,
  // Its signals are no signals of Node, which would refuse them.
  FormData,
  fetch: (input, options) => reactNativeFetch(input, { ...options, signal: undefined }),
  Blob,
  Headers,
  navigator: { product: "ReactNative" },
  performance,
  queueMicrotask,
  setInterval,
  setTimeout,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams
}
const context = createContext({ ...globals })
context.globalThis = context
context.report = (text) => {
  console.log(text)
  process.exit()
}
context.shop = url
new Script(readFileSync(file, "utf8")).runInContext(context)
