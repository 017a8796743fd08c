/** Further checks of what looks like a card number, an IBAN or a JWT. */

/** First digits (as numbers of that many digits) → lengths. */
const BRANDS: readonly (readonly [from: number, to: number, lengths: readonly number[]])[] = [
  [4, 4, [13, 16, 19]],
  [51, 55, [16]],
  [2221, 2720, [16]],
  [34, 34, [15]],
  [37, 37, [15]],
  [6011, 6011, [16]],
  [644, 649, [16]],
  [65, 65, [16]],
  [300, 305, [14]],
  [36, 36, [14]],
  [38, 39, [14]],
  [3528, 3589, [16]],
  [62, 62, [16, 17, 18, 19]],
];

export function isCard(text: string): boolean {
  const digits = text.replace(/[ -]/g, '');
  if (
    !BRANDS.some(([from, to, lengths]) => {
      const head = Number(digits.slice(0, String(from).length));
      return head >= from && head <= to && lengths.includes(digits.length);
    })
  )
    return false;
  // 4444…, 5555…: padding, not a card.
  if (/^(\d)\1+$/.test(digits.slice(0, -1))) return false;
  return luhn(digits);
}

function luhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    let d = digits.charCodeAt(digits.length - 1 - i) - 48;
    if (i % 2 === 1) {
      d *= 2;
      if (d > 9) d -= 9;
    }
    sum += d;
  }
  return sum % 10 === 0;
}

/** Of the register of IBANs. */
const IBAN_LENGTHS: Readonly<Record<string, number>> = Object.fromEntries(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 ' +
    'FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 ' +
    'LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 ' +
    'RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((e) => [e.slice(0, 2), Number(e.slice(2))]),
);

/** Length of the IBAN at the start of the text, blanks included; what follows in capitals is not a part of it. 0: none. */
export function ibanLength(text: string): number {
  const wanted = IBAN_LENGTHS[text.slice(0, 2)] ?? 0;
  let iban = '';
  let at = 0;
  while (at < text.length && iban.length < wanted) {
    if (text[at] !== ' ') iban += text[at];
    at++;
  }
  if (wanted === 0 || iban.length !== wanted || (at < text.length && text[at] !== ' ')) return 0;
  let rest = 0;
  for (const c of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(c, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1 ? at : 0;
}

/** The first part has to be a JSON object that names an algorithm. */
export function isJwt(text: string): boolean {
  try {
    const head: unknown = JSON.parse(Buffer.from(text.slice(0, text.indexOf('.')), 'base64url').toString('utf8'));
    return typeof head === 'object' && head !== null && 'alg' in head;
  } catch {
    return false;
  }
}
