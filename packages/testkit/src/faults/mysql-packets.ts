import type { Measure } from "./framer.ts"

/**
 * A packet has three bytes of length and one of sequence number before its payload. A payload of 16 MB - 1 continues in
 * the next packet.
 */
export const headerBytes = 4
export const sequenceOffset = 3
const maximalPayload = 0xff_ff_ff

/** Whether the packet's payload continues in the next packet. */
export const isMaximal = (packet: Buffer): boolean => packet.length - headerBytes === maximalPayload

export const measurePacket: Measure = (buffer, offset) => {
  const available = buffer.length - offset
  if (available < headerBytes) return -headerBytes
  const length = headerBytes + buffer.readUIntLE(offset, 3)
  return available < length ? -length : length
}

/** Flags by which client and server negotiate the protocol; a flag is in force when both have set it. */
export const capability = {
  COMPRESS: 1 << 5,
  PROTOCOL_41: 1 << 9,
  SSL: 1 << 11,
  DEPRECATE_EOF: 1 << 24,
  ZSTD: 1 << 26
}

/** The first byte of a command's payload. */
export const commandCodes = {
  COM_QUIT: 0x01,
  COM_INIT_DB: 0x02,
  COM_QUERY: 0x03,
  COM_FIELD_LIST: 0x04,
  COM_STATISTICS: 0x09,
  COM_PROCESS_INFO: 0x0a,
  COM_PROCESS_KILL: 0x0c,
  COM_DEBUG: 0x0d,
  COM_PING: 0x0e,
  COM_CHANGE_USER: 0x11,
  COM_BINLOG_DUMP: 0x12,
  COM_STMT_PREPARE: 0x16,
  COM_STMT_EXECUTE: 0x17,
  COM_STMT_SEND_LONG_DATA: 0x18,
  COM_STMT_CLOSE: 0x19,
  COM_STMT_RESET: 0x1a,
  COM_SET_OPTION: 0x1b,
  COM_STMT_FETCH: 0x1c,
  COM_RESET_CONNECTION: 0x1f,
  COM_STMT_BULK_EXECUTE: 0xfa
} as const
