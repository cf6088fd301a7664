import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { constants, existsSync, mkdirSync, rmSync, statSync } from "node:fs"
import { cp, rename, rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { promisify } from "node:util"
import { messageOf } from "../../internal/message-of.ts"
import { ServerDidNotStart } from "../errors.ts"
import type { SqlFlavour } from "../service.ts"
import { cacheDirectory } from "../settings.ts"
import { releaseDirectory, temporaryDirectory } from "./directories.ts"
import type { Installation } from "./installation.ts"
import { asRootUser, sharedArgs } from "./sql-arguments.ts"

const run = promisify(execFile)
const INITIALISE_DEADLINE_MS = 180_000
const OUTPUT_BYTES = 16 * 1024 ** 2

/** Copies an initialised data directory to `target`. Initialising takes seconds, so the result is cached per program. */
export async function copyTemplate(
  installation: Installation<SqlFlavour>,
  target: string,
  progress: (line: string) => void
): Promise<void> {
  const template = await ensureTemplate(installation, progress)
  // Copied under another name first, so that an interrupted copy is not mistaken for data.
  const copy = `${target}.new`
  await rm(copy, { recursive: true, force: true })
  await cp(template, copy, { recursive: true, mode: constants.COPYFILE_FICLONE })
  await rename(copy, target)
}

/** Two concurrent first starts both initialise; the first to finish provides the template for both. */
async function ensureTemplate(
  installation: Installation<SqlFlavour>,
  progress: (line: string) => void
): Promise<string> {
  const parent = cacheDirectory("templates")
  const template = join(parent, templateName(installation))
  if (existsSync(template)) return template
  progress(`${installation.flavour} ${installation.version}: initialising a template data directory (once)`)
  const work = await temporaryDirectory("template", parent)
  try {
    const data = join(work.path, "data")
    await initialise(installation, data)
    await rename(data, template).catch((error: unknown) => {
      if (!existsSync(template)) throw error
    })
  } finally {
    releaseDirectory(work)
  }
  return template
}

/** Depends on the program (path, time, size) and on the arguments that shape the files. */
function templateName({ flavour, version, program }: Installation<SqlFlavour>): string {
  const { mtimeMs, size } = statSync(program)
  const hash = createHash("sha256").update(JSON.stringify([program, mtimeMs, size, sharedArgs(flavour)]))
  return `${flavour}-${version}-${hash.digest("hex").slice(0, 12)}`
}

async function initialise(installation: Installation<SqlFlavour>, data: string): Promise<void> {
  const [command, args] =
    installation.flavour === "mysql"
      ? mysqlInitialiser(installation, data)
      : mariadbInitialiser(installation, data)
  // Not the system's: another starting server would remove these files there as leftovers.
  const temporary = `${data}-tmp`
  mkdirSync(temporary, { recursive: true })
  try {
    await run(command, args, {
      env: { ...installation.env, TMPDIR: temporary },
      timeout: INITIALISE_DEADLINE_MS,
      maxBuffer: OUTPUT_BYTES,
      cwd: dirname(data)
    })
  } catch (error) {
    const output = error instanceof Error && "stderr" in error ? String(error.stderr).slice(-2_000) : ""
    throw new ServerDidNotStart({
      command: basename(command),
      reason: `could not initialise a data directory (${messageOf(error).split("\n")[0]})`,
      log: output
    })
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

const mysqlInitialiser = (
  { program, root }: Installation<SqlFlavour>,
  data: string
): [string, ReadonlyArray<string>] => [
  program,
  ["--no-defaults", "--initialize-insecure", ...asRootUser(), ...baseArgs(root), `--datadir=${data}`]
]

/** MariaDB's own script, next to the server or, in Debian's layout, in bin while the server is in sbin. */
function mariadbInitialiser(
  { program, root }: Installation<SqlFlavour>,
  data: string
): [string, ReadonlyArray<string>] {
  const directories = [
    dirname(program),
    join(dirname(program), "..", "bin"),
    join(dirname(program), "..", "scripts")
  ]
  const script = directories
    .flatMap((directory) => ["mariadb-install-db", "mysql_install_db"].map((name) => join(directory, name)))
    .find((file) => existsSync(file))
  if (script === undefined)
    throw new ServerDidNotStart({
      command: "mariadb-install-db",
      reason: `is missing; looked in ${directories.join(", ")}`,
      log: ""
    })
  const installArgs = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
  return [
    script,
    [
      "--no-defaults",
      ...installArgs,
      ...asRootUser(),
      ...baseArgs(root),
      `--datadir=${data}`,
      ...sharedArgs("mariadb")
    ]
  ]
}

const baseArgs = (root: string) => (root === "" ? [] : [`--basedir=${join(root, "usr")}`])
