// CRC-16 and CRC-32 as twemproxy computes them (nc_crc16.c, nc_crc32.c). Knows nothing of rings.
// CRC-16 is the XMODEM one (polynomial 0x1021), CRC-32 that of IEEE 802.3 (reflected 0xedb88320).

const TABLE_16 = new Int32Array(256);
const TABLE_32 = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let c16 = byte << 8;
  let c32 = byte;
  for (let bit = 0; bit < 8; bit++) {
    c16 = c16 & 0x8000 ? (c16 << 1) ^ 0x1021 : c16 << 1;
    c32 = c32 & 1 ? (c32 >>> 1) ^ 0xedb88320 : c32 >>> 1;
  }
  TABLE_16[byte] = c16 & 0xffff;
  TABLE_32[byte] = c32;
}

/**
 * The register is never masked to 16 bits (twemproxy keeps it in a uint32_t), so bits shifted out
 * of the CRC stay above it. The low 16 bits are the true CRC.
 */
export function crc16(buf: Uint8Array, start: number, end: number): number {
  let crc = 0;
  for (let i = start; i < end; i++) crc = (crc << 8) ^ TABLE_16[((crc >> 8) ^ buf[i]) & 0xff];
  return crc >>> 0;
}

/** The true CRC-32. */
export function crc32a(buf: Uint8Array, start: number, end: number): number {
  let crc = -1;
  for (let i = start; i < end; i++) crc = (crc >>> 8) ^ TABLE_32[(crc ^ buf[i]) & 0xff];
  return ~crc >>> 0;
}

/** libmemcached's "crc32": 15 bits from the middle of the true one. */
export function crc32(buf: Uint8Array, start: number, end: number): number {
  return (crc32a(buf, start, end) >>> 16) & 0x7fff;
}
