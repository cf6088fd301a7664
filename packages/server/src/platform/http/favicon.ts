/** The icon of the pages: a hook that holds. */
export const FAVICON_SVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#0b6e4f"/>
<path d="M10 7v18M22 7v18M10 16h12" fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round"/>
</svg>
`

/** The same as an ICO file, for those who ask for nothing else. */
export const FAVICON_ICO = Buffer.from(
  [
    "AAABAAEAICAAAAEAIAC3AAAAFgAAAIlQTkcNChoKAAAADUlIRFIAAAAgAAAAIAgGAAAAc3p69AAAAH5JREFUeNpj4M7zZ0DD",
    "9UC8H4j/Uxnvh5qNYh+6xf/phOvRHUBPy1EcAXPA/wHCDAPle3goMBBKcK3blv+HARCbkKEkqt9PMPjRAbXVjzpg1AGjDhh6",
    "DiAVjDpg+DlgNBeMOmDUAcPSAQPeKB3wZvmAd0wGRddswDunA9Y9BwAObrTRfNf02AAAAABJRU5ErkJggg=="
  ].join(""),
  "base64"
)
