// Print, as JSON, what a JavaScript viewer's reader sees of a DICOM file.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";

const dcmjs = createRequire(process.argv[2] + "/")("dcmjs");
dcmjs.log?.setLevel?.("silent");
const told = [];
for (const path of process.argv.slice(3)) {
  const bytes = readFileSync(path);
  const file = dcmjs.data.DicomMessage.readFile(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  );
  const data = dcmjs.data.DicomMetaDictionary.naturalizeDataset(file.dict);
  const one = { modality: data.Modality, rows: data.Rows, columns: data.Columns };
  if (data.Modality === "SEG") {
    const packed = new Uint8Array([data.PixelData].flat()[0]);
    const pixels = dcmjs.data.BitArray.unpack(packed);
    const size = data.Rows * data.Columns;
    const frames = [data.PerFrameFunctionalGroupsSequence].flat();
    const segments = [data.SegmentSequence].flat();
    one.masks = Object.fromEntries(
      frames.map((frame, number) => {
        const of = [frame.SegmentIdentificationSequence].flat()[0];
        const mask = pixels.slice(number * size, (number + 1) * size).map((v) => +!!v);
        const digest = createHash("sha256").update(Uint8Array.from(mask)).digest("hex");
        return [segments[of.ReferencedSegmentNumber - 1].SegmentLabel, digest];
      }),
    );
  }
  told.push(one);
}
console.log(JSON.stringify(told));
