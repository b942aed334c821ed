// Asking the service. The key goes in the body: for a header, browsers would ask for leave first.

const bodyOf = (body) => JSON.stringify({ key: said.key, ...body });

const call = async (path, body, keepalive) => {
  try {
    return await fetch(`${endpoint}v1/${path}`, {
      method: "POST",
      credentials: "omit",
      body: bodyOf(body),
      keepalive,
      signal: AbortSignal.timeout(10000),
    });
  } catch (error) {
    note(path, error);
  }
};

const explain = async (answer) => {
  if (!answer) {
    return `no answer from ${endpoint}. Is it up? Does a Content-Security-Policy forbid it? Else ${remedy}`;
  }
  const { error } = (await answer.json().catch(note)) ?? {};
  const keyed = /40[13]/.test(answer.status);
  const words = error ? `: ${error.message}; ${keyed ? remedy : error.hint}` : "";
  return `${endpoint} answered ${answer.status}${words}`;
};
