/** The maximum number of clients and actors: each has a digit or a letter in the code of a schedule. */
export const MAX_ACTORS = 36

/** The number of a client's choice when it has several: its first ready connection, its second, and so on. */
export const choiceOf = (client: number, connection: number): number => client + connection * MAX_ACTORS

/** The client or actor of a choice. */
export const actorOf = (choice: number): number => choice % MAX_ACTORS
