// allauth's own script does the talking to the device; when that fails it tells the document, and we tell the reader.
export function explainPasskeys() {
  document.addEventListener("allauth.error", (event) => {
    const problem = document.querySelector("[data-passkey-problem]");
    if (!problem) return;
    event.preventDefault(); // else it is written to the console as well
    problem.hidden = false;
  });
}
