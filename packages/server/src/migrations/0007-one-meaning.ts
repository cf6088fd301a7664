import { normaliseEmail, searchForm } from "@holdfast/domain"
import { type Kysely, sql } from "kysely"
import { DUPLICATE_ENTRY } from "../platform/db/sql-errors.ts"
import { addColumn } from "./changes.ts"

// oxlint-disable-next-line typescript/no-explicit-any -- the tables of a migration have no types
type AnyDatabase = Kysely<any>

/** Rows that one statement changes: few enough to hold their locks briefly. */
const BATCH = 500

/**
 * Brings stored text into the form in which it is compared: the searched text of products, categories, e-mail addresses.
 * Every batch commits by itself and what is done is not looked at again, so a start after a crash continues.
 */
export const oneMeaning = {
  up: async (db: AnyDatabase): Promise<void> => {
    const text = "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL"
    await addColumn(db, "products", "search_text", text)
    while (await fillSearchTexts(db)) {}
    await composeCategories(db)
    await normaliseEmails(db)
    await forgetCredentials(db)
  }
}

/** @returns whether there may be more */
const fillSearchTexts = async (db: AnyDatabase): Promise<boolean> => {
  const { rows } = await sql<{ sku: string; name: string }>`
    select sku, name from products where search_text is null order by sku limit ${sql.lit(BATCH)}`.execute(db)
  if (rows.length === 0) return false
  const texts = rows.map(({ name, sku }) => sql`when ${sku} then ${searchForm(`${sku} ${name}`)}`)
  await sql`update products set search_text = case sku ${sql.join(texts, sql` `)} end
    where sku in (${sql.join(rows.map(({ sku }) => sku))})`.execute(db)
  return rows.length === BATCH
}

const composeCategories = async (db: AnyDatabase): Promise<void> => {
  const { rows } = await sql<{ category: string }>`
    select distinct category from products where category is not null`.execute(db)
  for (const { category } of rows) {
    const composed = category.normalize("NFC")
    if (composed !== category)
      await sql`update products set category = ${composed} where category = ${category}`.execute(db)
  }
}

/** An address whose new form belongs to another user stays as it is: a person has to decide between the two. */
const normaliseEmails = async (db: AnyDatabase): Promise<void> => {
  const { rows } = await sql<{ id: Buffer; email: string }>`
    select id, email from users where email regexp '[^ -~]|[.]$'`.execute(db)
  for (const { email, id } of rows) {
    const normalised = normaliseEmail(email)
    if (normalised === email) continue
    await sql`update users set email = ${normalised} where id = ${id}`.execute(db).catch((error: unknown) => {
      if ((error as { readonly errno?: number }).errno !== DUPLICATE_ENTRY) throw error
    })
  }
}

/** A receiver's address with credentials was quoted in the reason why it could not be used. */
const forgetCredentials = (db: AnyDatabase): Promise<unknown> =>
  sql`update webhook_deliveries set last_error = 'not reached: the address holds credentials'
    where last_error like '%URL that includes credentials%'`.execute(db)
