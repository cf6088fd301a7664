import { recordArtifact, type TestArtifactBase, type TestContext } from "vitest"

interface TimelineArtifact extends TestArtifactBase {
  readonly type: "@holdfast/testkit:timeline"
  readonly message: string
}

const timeline = Symbol("timeline")

declare module "vitest" {
  interface TestArtifactRegistry {
    [timeline]: TimelineArtifact
  }
}

/**
 * Attaches an HTML file to the test: as an annotation, which reporters show, while the test runs, and as an artifact
 * when it has ended, which is too late for an annotation.
 */
export async function attachTimeline(
  { task, annotate }: Pick<TestContext, "task" | "annotate">,
  message: string,
  path: string
): Promise<void> {
  const attachment = { path, contentType: "text/html" }
  if (task.result?.state === "run") await annotate(message, attachment)
  else
    await recordArtifact(task, {
      type: "@holdfast/testkit:timeline",
      message,
      attachments: [attachment]
    })
}
